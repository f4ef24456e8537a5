"""Grids: overrides of a recipe of which some stand for several values.

`key=[a, b]` is two values of the key, whatever its type; so a value that is a list itself is a list in that list:
`decode.stop_rules=[[eos], []]` is two, `decode.stop_rules=[[eos]]` is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.recipe.overrides import Override, parse_overrides


@dataclass(frozen=True, slots=True)
class GridPoint:
    """One combination of values: the overrides that make it, and the value of each key that varies."""

    index: int
    overrides: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """Keys that vary, each with its values, and overrides that all points share."""

    axes: Mapping[str, Sequence[Any]]
    fixed: tuple[str, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Grid:
        """Read `key=[value, ...]` and `key=value`; DllmkitError says what is wrong, and if nothing varies."""
        problems: list[str] = []
        axes: dict[str, Sequence[Any]] = {}
        fixed = []
        for text in texts:
            for override in parse_overrides([text], problems):
                key = ".".join(override.keys)
                if not isinstance(override.value, list):
                    fixed.append(text)
                elif key in axes:
                    problems.append(f"'{key}' has two lists of values")
                elif not override.value:
                    problems.append(f"'{text}' has no value; an empty list as a value is written {key}=[[]]")
                else:
                    axes[key] = _items(override)
        if not problems and not axes:
            problems.append("nothing varies: give a list of values, such as 'decode.unmask_selector.tau=[0.7,0.9]'")
        if problems:
            raise DllmkitError("\n".join(problems))
        return cls(axes, tuple(fixed))

    @property
    def points(self) -> list[GridPoint]:
        """All combinations, the last key varying fastest."""
        return [
            GridPoint(
                index,
                (*self.fixed, *(f"{key}={json.dumps(value)}" for key, value in zip(self.axes, values, strict=True))),
                dict(zip(self.axes, values, strict=True)),
            )
            for index, values in enumerate(product(*self.axes.values()))
        ]

    def label(self, point: GridPoint) -> str:
        """Name a point by its values, with keys as short as they can be."""
        return ", ".join(f"{self._short(key)}={_show(value)}" for key, value in point.settings.items())

    def _short(self, key: str) -> str:
        last = key.rpartition(".")[2]
        return last if sum(other.rpartition(".")[2] == last for other in self.axes) == 1 else key


def hint(grid: Grid, problems: Sequence[str]) -> Iterator[str]:
    """Where a key that wants a list got an item of one, say how a list is written."""
    for key in grid.axes:
        if any(problem.startswith(key) and ("list" in problem or "tuple" in problem) for problem in problems):
            yield f"in a sweep {key}=[a, b] is two values; a value that is a list is written {key}=[[a, b]]"


def _items(override: Override) -> list[Any]:
    return list(override.value)


def _show(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:  # a component: its name, and what is set of it
        rest = ", ".join(f"{key}={_show(item)}" for key, item in value.items() if key != "name")
        return f"{value['name']}({rest})" if rest else str(value["name"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
