"""Interpolations: values of a recipe that are written in terms of others, `${decode.gen_length}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dllmkit.recipe.layers import Leaf, annotate, leaves, plain, replace
from dllmkit.recipe.values import UNUSABLE


def resolve(tree: Any, add_defaults: Callable[[Any], Any], problems: list[str]) -> Any:
    """Return the tree with interpolations replaced by values; a failure is reported and its leaf made UNUSABLE.

    `add_defaults` lays the parameters of the components that the tree names under it, so that `${...}` finds them; it is
    called once the names are known, which may be interpolations themselves.
    """
    pending = [path for path, leaf in leaves(tree) if _is_open(leaf)]
    if not pending:
        return tree
    for path in [path for path in pending if path[-1] == "name"]:
        tree = replace(tree, path, _value(tree, path, problems))
    complete = add_defaults(tree)
    for path in [path for path in pending if path[-1] != "name"]:
        tree = replace(tree, path, _value(complete, path, problems))
    return tree


def _is_open(leaf: Leaf) -> bool:
    return isinstance(leaf.value, str) and ("${" in leaf.value or leaf.value == "???")


def _value(tree: Any, path: tuple[str, ...], problems: list[str]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    (leaf,) = [leaf for at, leaf in leaves(tree) if at == path]
    where = ".".join(path)
    node: Any = OmegaConf.create(plain(tree), flags={"allow_objects": True})
    try:
        for key in path:
            node = node[int(key) if OmegaConf.is_list(node) else key]
        value = OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node
    except MissingMandatoryValue:
        problems.append(f"{where} = '???': a value must be given")
    except (OmegaConfBaseException, RecursionError) as error:
        problems.append(f"{where} = '{leaf.value}': {_first_line(error)}")
    else:
        return annotate(value, f"{leaf.origin}: {leaf.value}")
    return Leaf(UNUSABLE, leaf.origin)


def _first_line(error: BaseException) -> str:
    line = str(error).partition("\n")[0] or type(error).__name__
    return line[:1].lower() + line[1:]
