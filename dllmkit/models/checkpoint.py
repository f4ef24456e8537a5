"""A checkpoint: where it is, what it is, and the network in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dllmkit.errors import ModelError, nearest
from dllmkit.models.family import Architecture, ModelFamily
from dllmkit.models.weights import load_network, save_checkpoint

__all__ = ["BUNDLED", "load_network", "locate", "read_config", "recognise", "save_checkpoint"]

BUNDLED = "dllmkit/tiny"
"""The name of the small model that dllmkit ships."""

_PUBLISHED = (
    "GSAI-ML/LLaDA-8B-Base",
    "GSAI-ML/LLaDA-8B-Instruct",
    "GSAI-ML/LLaDA-1.5",
    "Dream-org/Dream-v0-Base-7B",
    "Dream-org/Dream-v0-Instruct-7B",
)
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]  # no code, no pickles
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def locate(path: str, revision: str | None = None) -> Path:
    """Find the folder of a checkpoint: the bundled model's name, a local folder, or a hub id, which is downloaded.

    Only configuration, tokenizer and safetensors files are ever fetched. Raises ModelError when there is no such
    checkpoint, or when it cannot be downloaded.
    """
    if path == BUNDLED:
        folder = Path(__file__).parents[1] / "tiny" / "checkpoint"
        if not (folder / "config.json").is_file():
            raise ModelError(f"the bundled model '{BUNDLED}' is missing from this installation; reinstall dllmkit")
        return folder
    if not path.strip():
        raise ModelError(f"the name of the model is empty; expected a folder, a hub id (owner/name) or '{BUNDLED}'")
    try:
        local = Path(path).expanduser()
        is_folder, exists = local.is_dir(), local.exists()
    except (OSError, RuntimeError) as error:  # a name too long, a home that nobody has
        raise ModelError(f"model '{path}' cannot be looked for: {_line(error)}") from None
    if is_folder:
        return local
    if exists:
        raise ModelError(f"model '{path}' is a file; expected the folder that holds config.json and its weights")
    if not _HUB_ID.fullmatch(path):
        raise ModelError(f"no folder '{path}', and it is not a hub id (owner/name) either; {_near(path, local)}")
    return _download(path, revision, local)


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json` of a checkpoint folder; ModelError where there is none, or not a JSON object."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no config.json; expected a checkpoint folder as on the hub") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{file} holds a JSON {type(config).__name__}; expected an object with the model's fields")
    return config


def recognise(config: Mapping[str, Any], families: Iterable[ModelFamily]) -> Architecture:
    """Ask each family; ModelError where none, or more than one, recognises the config."""
    families = list(families)
    found = [family for family in families if family.recognises(config)]
    if len(found) == 1:
        return found[0].architecture(config)
    model_type, classes = config.get("model_type"), config.get("architectures")
    what = f"model_type {model_type!r}, architectures {classes!r}"
    names = ", ".join(sorted(f"'{family.name}'" for family in found or families)) or "none"
    if found:
        raise ModelError(f"several model families claim this checkpoint ({what}): {names}; uninstall all but one")
    raise ModelError(f"no model family recognises this checkpoint ({what}); known families: {names}")


def _near(path: str, local: Path) -> str:
    """Say which published or bundled name, or else which folder beside it, is nearest to a wrong one."""
    hint = nearest(path, [BUNDLED, *_PUBLISHED])
    if not hint.startswith("did") and local.parent.is_dir():
        beside = nearest(local.name, [p.name for p in local.parent.iterdir() if p.is_dir()])
        return beside if beside.startswith("did") else hint
    return hint


def _download(path: str, revision: str | None, local: Path) -> Path:
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.constants import HF_HUB_OFFLINE

    at = f"{path}@{revision}" if revision else path
    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=_FILES))
    except errors.GatedRepoError:
        problem = "is gated on the hub: ask for access on its page and log in with `hf auth login`"
    except errors.RevisionNotFoundError:
        problem = f"has no revision '{revision}' on the hub"
    except errors.RepositoryNotFoundError:
        problem = (
            f"is neither a folder nor a model on the hub (or a private one: `hf auth login`); {_near(path, local)}"
        )
    except (errors.HFValidationError, ValueError) as error:
        problem = f"is neither a folder nor a valid hub id: {_line(error)}"
    except Exception as error:  # no network, a full disk, or one of the hub client's many transfer errors
        why = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else f"the hub did not answer: {_line(error)}"
        problem = (
            f"is not a local folder, is not in the hub cache, and cannot be downloaded ({why}); "
            f"give a folder, or download it first with `hf download {path}`; {_near(path, local)}"
        )
    raise ModelError(f"model '{at}' {problem}")


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else text[:120] + "..."
