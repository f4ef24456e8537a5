"""The keys in which recipes differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ABSENT = "(absent)"
"""Stands for the value of a key that a recipe does not have, such as a parameter of another component."""


def differing_keys(recipes: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return, by dotted key, the values of each resolved recipe where they are not all the same; ABSENT where there is none."""
    flat = [dict(_flatten(recipe, "")) for recipe in recipes]
    keys = dict.fromkeys(key for recipe in flat for key in recipe)
    values = {key: [recipe.get(key, ABSENT) for recipe in flat] for key in keys}
    return {key: values[key] for key in sorted(values, key=_order) if any(one != values[key][0] for one in values[key])}


def _order(key: str) -> tuple[str, bool, str]:
    """Keys of the same component beside one another, its name first."""
    parent, _, last = key.rpartition(".")
    return parent, last != "name", last


def _flatten(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield leaves with their keys; a list is a leaf, for its items have no names to be compared by."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flatten(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
