"""Tensor names: from the names a family publishes its checkpoints with to transformers' names, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LAYER = re.compile(r"\.(\d+)\.")


class TensorNames:
    """A table of published name -> transformers name, in which `{}` stands for the layer number."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = dict(table)
        self._inverse = {ours: theirs for theirs, ours in table.items()}
        if len(self._inverse) != len(self._table):
            raise ValueError("two published names share one transformers name")

    def __call__(self, name: str) -> str | None:
        """Return transformers' name of the published tensor `name`, or None if the family has no such tensor."""
        return _translate(name, self._table)

    def published(self, name: str) -> str | None:
        """Return the published name of transformers' tensor `name`, or None if the family does not publish it."""
        return _translate(name, self._inverse)


class SameNames:
    """For families that publish transformers' own names."""

    def __call__(self, name: str) -> str | None:
        """Return `name`."""
        return name

    def published(self, name: str) -> str | None:
        """Return `name`."""
        return name


def _translate(name: str, table: Mapping[str, str]) -> str | None:
    layer = _LAYER.search(name)
    if layer is None:
        return table.get(name)
    found = table.get(name[: layer.start()] + ".{}." + name[layer.end() :])
    return found.replace("{}", layer[1]) if found is not None else None
