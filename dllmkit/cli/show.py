"""`dllmkit show`: a recipe in full, and where each value comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dllmkit.recipe import Recipe, load_recipe


def show(recipe: str, overrides: Sequence[str] = (), as_json: bool = False) -> None:
    """Print the resolved recipe as YAML, the origin of each value as a comment; or all of it as JSON."""
    loaded = load_recipe(recipe, overrides)
    if as_json:
        parts = {"source": loaded.source, "hash": loaded.hash}
        print(json.dumps({**parts, "resolved": loaded.resolved, "provenance": loaded.provenance}, indent=2))
    else:
        print(annotated_yaml(loaded))


def annotated_yaml(recipe: Recipe) -> str:
    """Write the resolved recipe as YAML with an aligned comment on each line that holds a value."""
    lines = list(_lines(recipe.resolved, (), ""))
    width = max(len(text) for text, path in lines if path and len(text) <= 60)
    head = f"# {recipe.source}: resolved recipe {recipe.short_hash}"
    shown = [f"{text:{width}}  # {recipe.provenance['.'.join(path)]}" if path else text for text, path in lines]
    return "\n".join([head, *shown])


def _lines(value: Any, path: tuple[str, ...], indent: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield lines, each with the path of the value in it or () if it holds none; items of lists start with a dash."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        label = f"{key}:" if isinstance(value, dict) else "-"
        below = (*path, str(key))
        if not (isinstance(item, (dict, list)) and item):
            yield f"{indent}{label} {_scalar(item)}", below
        elif isinstance(value, dict):
            yield f"{indent}{label}", ()
            yield from _lines(item, below, indent + "  ")
        else:
            (first, at), *rest = _lines(item, below, indent + "  ")
            yield f"{indent}- {first[len(indent) + 2 :]}", at
            yield from rest


def _scalar(value: Any) -> str:
    from omegaconf import OmegaConf

    if isinstance(value, str) and ("\n" in value or len(value) > 60):
        return json.dumps(value, ensure_ascii=False)  # YAML would spread it over lines
    if isinstance(value, str) and "${" in value:
        return json.dumps(value.replace("${", "\\${"), ensure_ascii=False)
    return OmegaConf.to_yaml(OmegaConf.create([value])).removeprefix("- ").rstrip("\n")
