"""Overrides: `key=value` on the command line, the top layer of a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dllmkit.recipe.layers import expand
from dllmkit.recipe.schema import PUBLISHED, STOP_RULES


@dataclass(frozen=True)
class Override:
    """One override: where it goes, and its value as YAML reads it."""

    text: str
    keys: tuple[str, ...]
    value: Any

    @property
    def origin(self) -> str:
        """How provenance and messages name it."""
        return f"override '{self.text}'"


def parse_overrides(texts: Iterable[str], problems: list[str]) -> list[Override]:
    """Read overrides and sort them: what sets a whole component or list comes before what sets a part of it.

    So a name and the parameters that go with it may be given in any order; of two for the same key, the later one wins.
    """
    parsed = [override for text in texts if (override := _parse(text, problems)) is not None]
    return sorted(parsed, key=_specificity)


def _parse(text: str, problems: list[str]) -> Override | None:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    key, equals, value = text.partition("=")
    keys = tuple(re.sub(r"\[(\d+)\]", r".\1", key.strip()).split("."))
    if not equals:
        problems.append(f"override '{text}': expected key=value")
        return None
    if not all(re.fullmatch(r"\w+", k) for k in keys):
        problems.append(f"override '{text}': '{key.strip()}' is not a key like decode.gen_length")
        return None
    if keys[0] == PUBLISHED:
        problems.append(f"override '{text}': published figures are the authors', and no setting")
        return None
    if keys == ("extends",):
        problems.append(f"override '{text}': only a recipe file can say what it extends")
        return None
    try:
        read = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))
    except (yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        problems.append(f"override '{text}': the value cannot be read: {reason}")
        return None
    assert isinstance(read, dict)
    return Override(text, keys, _short_forms(keys, read["value"]))


def _short_forms(keys: tuple[str, ...], value: Any) -> Any:
    """Write out the short forms of components in the value, as for the layers below."""
    if len(keys) == 3 and keys[:2] == ("decode", STOP_RULES) and isinstance(value, str):
        return {"name": value}
    if keys == ("decode",) and isinstance(value, dict):
        return expand({"decode": value})["decode"]
    if len(keys) == 2 and keys[0] == "decode":
        return expand({"decode": {keys[1]: value}})["decode"][keys[1]]
    return value


def _specificity(override: Override) -> float:
    return len(override.keys) - (0.5 if override.keys[-1] == "name" else 0)
