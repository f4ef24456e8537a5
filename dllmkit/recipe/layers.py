"""Layers of a recipe: trees of values that know where they come from, laid one over the other.

A tree is a mapping or a list of trees, or a `Leaf`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dllmkit.recipe.schema import DEFAULT_COMPONENTS, STOP_RULES


class Leaf(NamedTuple):
    """A value that is not taken apart (a scalar or an empty container) and its origin."""

    value: Any
    origin: str


def annotate(value: Any, origin: str) -> Any:
    """Make a tree of a plain value; every leaf gets the same origin."""
    if isinstance(value, Mapping) and value:
        return {str(key): annotate(item, origin) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and value:
        return [annotate(item, origin) for item in value]
    return Leaf(value, origin)


def plain(tree: Any) -> Any:
    """Return the values of a tree, without origins."""
    if isinstance(tree, dict):
        return {key: plain(item) for key, item in tree.items()}
    return [plain(item) for item in tree] if isinstance(tree, list) else tree.value


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield every leaf with its path."""
    if isinstance(tree, Leaf):
        yield path, tree
    else:
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(item, (*path, str(key)))


def merge(low: Any, high: Any, at: tuple[str, ...] = ()) -> Any:
    """Lay one tree over another: mappings merge, anything else replaces.

    A component of another name replaces the one below, parameters included. `at` is where the trees stand in the recipe.
    """
    if isinstance(low, dict) and isinstance(high, Leaf) and high.value == {}:
        return low
    if not (isinstance(low, dict) and isinstance(high, dict)) or (_is_component(at) and _renamed(low, high)):
        return high
    laid = {key: merge(low[key], item, (*at, key)) if key in low else item for key, item in high.items()}
    return {**low, **laid}


def assign(tree: Any, keys: Sequence[str], value: Any, at: tuple[str, ...] = ()) -> Any:
    """Return the tree with another one laid over the place that `keys` lead to, numbers being items of lists.

    An item just past the end of a list is appended; raises IndexError, which says what there is, beyond that.
    """
    if not keys:
        return value if tree is None else merge(tree, value, at)
    key, rest, below = keys[0], keys[1:], (*at, keys[0])
    if isinstance(tree, Leaf) and tree.value == []:
        tree = []
    if isinstance(tree, list):
        if not (key.isascii() and key.isdecimal()) or int(key) > len(tree):
            raise IndexError(f"there is no item '{key}': the list has {len(tree)}")
        item = int(key)
        laid = assign(tree[item] if item < len(tree) else None, rest, value, below)
        return [*tree[:item], laid, *tree[item + 1 :]]
    held = tree if isinstance(tree, dict) else {}
    return merge(held, {key: assign(held.get(key), rest, value, below)}, at)


def replace(tree: Any, keys: Sequence[str], value: Any) -> Any:
    """Return the tree with what is at the end of `keys` exchanged for another tree, and nothing else."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(tree, list):
        return [replace(item, rest, value) if str(at) == key else item for at, item in enumerate(tree)]
    return {name: replace(item, rest, value) if name == key else item for name, item in tree.items()}


def origin_of(tree: Any, keys: Sequence[str], default: str) -> str:
    """Say where the value at the end of `keys` comes from, or the value that it is a part of."""
    for key in keys:
        if isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        elif isinstance(tree, dict) and key in tree:
            tree = tree[key]
        else:
            break
    return tree.origin if isinstance(tree, Leaf) else default


def expand(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Write the short form of components out: a name alone."""
    expanded = {str(key): value for key, value in layer.items()}
    decode = expanded.get("decode")
    if isinstance(decode, Mapping):
        decode = {str(key): value for key, value in decode.items()}
        for slot in DEFAULT_COMPONENTS.keys() & decode.keys():
            decode[slot] = _named(decode[slot])
        rules = decode.get(STOP_RULES)
        if isinstance(rules, (list, tuple)):
            decode[STOP_RULES] = [_named(rule) for rule in rules]
        expanded["decode"] = decode
    return expanded


def _named(component: Any) -> Any:
    return {"name": component} if isinstance(component, str) else component


def _is_component(at: tuple[str, ...]) -> bool:
    if len(at) == 2:
        return at[0] == "decode" and at[1] in DEFAULT_COMPONENTS
    return len(at) == 3 and at[:2] == ("decode", STOP_RULES)


def _renamed(low: dict[str, Any], high: dict[str, Any]) -> bool:
    names = [tree["name"].value for tree in (low, high) if isinstance(tree.get("name"), Leaf)]
    return len(names) == 2 and names[0] != names[1]
