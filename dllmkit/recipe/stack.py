"""The stack of layers that a recipe is: defaults, the file it extends, the recipe itself, overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dllmkit.errors import RecipeError
from dllmkit.recipe.files import find_recipe, parse_mapping
from dllmkit.recipe.layers import annotate, assign, expand, merge
from dllmkit.recipe.overrides import parse_overrides
from dllmkit.recipe.schema import DEFAULT_COMPONENTS, PUBLISHED, SECTIONS, STOP_RULES
from dllmkit.recipe.values import field_values, show


class Stack(NamedTuple):
    """All layers of a recipe as one tree, and the published figures as they stand in it."""

    tree: Any
    published: Any


def stack(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str], folders: Sequence[Path], label: str,
    problems: list[str],
) -> Stack:  # fmt: skip
    """Lay all layers over one another; raise if one of them cannot be read, as all the rest would look wrong."""
    parsed = parse_overrides(overrides, problems)
    try:
        layers = _read(source, folders, label)
    except RecipeError as error:
        raise RecipeError(error.source, list(dict.fromkeys([*problems, *error.problems]))) from error
    published = layers[-1][1].pop(PUBLISHED, None)
    tree = _defaults()
    for origin, layer in layers:
        tree = merge(tree, annotate(expand(_usable(layer, problems)), origin))
    for override in parsed:
        if len(override.keys) == 1 and not _usable({override.keys[0]: override.value}, problems):
            continue
        try:
            tree = assign(tree, override.keys, annotate(override.value, override.origin))
        except IndexError as error:
            problems.append(f"{override.origin}: {error}")
    return Stack(tree, published)


def _usable(layer: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Leave out the sections of a layer that are no mappings: empty ones silently, others are a problem."""
    wrong = {key: value for key, value in layer.items() if key in SECTIONS and not isinstance(value, Mapping)}
    problems += [f"{key} = {show(value)}, expected a mapping" for key, value in wrong.items() if value is not None]
    return {key: value for key, value in layer.items() if key not in wrong}


def _read(
    source: str | Path | Mapping[str, Any], folders: Sequence[Path], label: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return the layers of a recipe with their origins: the file it extends, if any, then the recipe itself."""
    if isinstance(source, Mapping):
        beside, layer = None, parse_mapping(source, label)
        origin = "recipe"
    else:
        file = find_recipe(source, folders)
        beside, layer = file.path.parent, file.read()
        origin = "recipe file"
    extends = layer.pop("extends", None)
    if extends is None:
        return [(origin, layer)]
    if not isinstance(extends, str):
        raise RecipeError(label, [f"extends = {show(extends)}, expected the name of one recipe"])
    try:
        base = find_recipe(extends, folders, beside).read()
    except RecipeError as error:
        raise RecipeError(label, [f"extends '{extends}': {problem}" for problem in error.problems]) from error
    if base.pop("extends", None) is not None:
        raise RecipeError(label, [f"extends '{extends}', which extends another recipe: one level is all there is"])
    base.pop(PUBLISHED, None)
    return [(f"{extends} (extends)", base), (origin, layer)]


def _defaults() -> dict[str, Any]:
    sections = {name: field_values(cls()) for name, cls in SECTIONS.items()}
    sections["decode"] |= {slot: {"name": name} for slot, name in DEFAULT_COMPONENTS.items()} | {STOP_RULES: []}
    defaults: dict[str, Any] = annotate(sections, "default")
    return defaults
