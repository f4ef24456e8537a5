"""Finding a checkpoint, and reading its config.json."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dllmkit.errors import ModelError
from dllmkit.models import checkpoint
from dllmkit.models.checkpoint import locate, read_config

GOLDEN = Path(__file__).parents[1] / "golden"


def message(path: str, revision: str | None = None) -> str:
    with pytest.raises(ModelError) as raised:
        locate(path, revision)
    return str(raised.value)


def test_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(tmp_path)) == tmp_path
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("owner/name") == Path("owner/name")  # a local folder comes before a hub id
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/owner") == tmp_path / "owner"


def test_the_bundled_model_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "dllmkit" / "models" / "checkpoint.py"
    monkeypatch.setattr(checkpoint, "__file__", str(package))
    assert (
        message("dllmkit/tiny")
        == "the bundled model 'dllmkit/tiny' is missing from this installation; reinstall dllmkit"
    )
    folder = tmp_path / "dllmkit" / "tiny" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert locate("dllmkit/tiny") == folder


def test_no_such_folder_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "llada-8b").mkdir()
    assert message(f"{tmp_path}/llada-8c") == (
        f"no folder '{tmp_path}/llada-8c', and it is not a hub id (owner/name) either; did you mean 'llada-8b'?"
    )
    assert "known: Dream-org/Dream-v0-Base-7B" in message("xyz")


def test_a_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    assert message(str(file)) == f"model '{file}' is a file; expected the folder that holds config.json and its weights"


def test_names_that_cannot_be_paths() -> None:
    assert message(" ") == "the name of the model is empty; expected a folder, a hub id (owner/name) or 'dllmkit/tiny'"
    assert "cannot be looked for: " in message("x" * 5000)
    assert "cannot be looked for: " in message("~nobody-has-this-name/model")


def test_a_hub_id_offline_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "from dllmkit.errors import ModelError\n"
        "from dllmkit.models.checkpoint import locate\n"
        "try: locate('GSAI-ML/LLaDA-8B-Instrukt')\n"
        "except ModelError as error: print(error)"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout == (
        "model 'GSAI-ML/LLaDA-8B-Instrukt' is not a local folder, is not in the hub cache, and cannot be downloaded "
        "(HF_HUB_OFFLINE is set); give a folder, or download it first with `hf download GSAI-ML/LLaDA-8B-Instrukt`; "
        "did you mean 'GSAI-ML/LLaDA-8B-Instruct'?\n"
    )


def raising(error: Exception) -> Any:
    def download(*args: Any, **kwargs: Any) -> str:
        raise error

    return download


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "GatedRepoError",
            "model 'o/m@r' is gated on the hub: ask for access on its page and log in with `hf auth login`",
        ),
        ("RevisionNotFoundError", "model 'o/m@r' has no revision 'r' on the hub"),
        ("RepositoryNotFoundError", "model 'o/m@r' is neither a folder nor a model on the hub (or a private one"),
        (
            "LocalEntryNotFoundError",
            "model 'o/m@r' is not a local folder, is not in the hub cache, and cannot be downloaded",
        ),
        ("XetDownloadError", "model 'o/m@r' is not a local folder, is not in the hub cache, and cannot be downloaded"),
        ("HFValidationError", "model 'o/m@r' is neither a folder nor a valid hub id: it broke"),
    ],
)
def test_hub_errors_become_one_line(kind: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    cls = getattr(errors, kind)
    error = cls.__new__(cls, "it broke")  # their constructors want a response of whichever HTTP library is in use
    monkeypatch.setattr(huggingface_hub, "snapshot_download", raising(error))
    text = message("o/m", "r")
    assert text.startswith(expected)
    assert "\n" not in text


def test_downloads_fetch_neither_code_nor_pickles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import fnmatch

    import huggingface_hub

    asked: dict[str, Any] = {}

    def download(path: str, **kwargs: Any) -> str:
        asked.update(kwargs, path=path)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert locate("o/m", "abc") == tmp_path
    assert (asked["path"], asked["revision"]) == ("o/m", "abc")

    def fetched(name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in asked["allow_patterns"])

    wanted = ["config.json", "tokenizer.json", "vocab.json", "merges.txt", "model-00001-of-00006.safetensors"]
    refused = ["modeling_llada.py", "pytorch_model.bin", "model.pt", "README.md", "model.gguf"]
    assert all(map(fetched, wanted))
    assert not any(map(fetched, refused))


def test_config_json(tmp_path: Path) -> None:
    assert read_config(GOLDEN / "dream-100")["model_type"] == "Dream"
    with pytest.raises(ModelError, match=r"holds no config\.json; expected a checkpoint folder as on the hub"):
        read_config(tmp_path)
    file = tmp_path / "config.json"
    for content, expected in (
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe{}", "cannot be read as JSON"),
        (b"[]", "holds a JSON list"),
    ):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=expected):
            read_config(tmp_path)
