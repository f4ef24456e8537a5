"""Which components go together: every combination that a recipe can name, and why some are refused."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from dllmkit.errors import ParameterError, PluginError
from dllmkit.parameters import Rule
from dllmkit.recipe.components import Placed, check_rules
from dllmkit.recipe.schema import DEFAULT_COMPONENTS, STOP_RULES
from dllmkit.registry import Registry

AXES = (*DEFAULT_COMPONENTS, "stop_rule")
"""The slots that are combined; a combination has one stop rule or none."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A component as a combination names it; `options` are parameters, given where a rule of the component depends on them."""

    slot: str
    name: str
    cls: type
    component: Any | None
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options)])

    @property
    def placed(self) -> Placed:
        """The component where a recipe would have it."""
        return Placed(self.slot, f"decode.{self.slot}", self.name, self.cls, self.component)


@dataclasses.dataclass(frozen=True)
class Combination:
    """One choice for each axis, by slot (the stop rule may be missing), and why a recipe with it is refused."""

    choices: Mapping[str, Choice]
    reasons: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether a recipe may name it."""
        return not self.reasons

    def section(self, **options: Any) -> dict[str, Any]:
        """The section `decode` of a recipe that names this combination, other keys as given."""
        named = {slot: {"name": c.name, **dict(c.options)} for slot, c in self.choices.items()}
        rule = named.pop("stop_rule", None)
        return {**named, STOP_RULES: [rule] if rule else [], **options}


@dataclasses.dataclass(frozen=True)
class Combinations:
    """All combinations of a registry's components. What rules say does not depend on the model family."""

    axes: Mapping[str, tuple[Choice, ...]]
    families: tuple[str, ...]
    unusable: tuple[str, ...]

    @cached_property
    def all(self) -> tuple[Combination, ...]:
        """Every combination, the last axis changing fastest; no stop rule comes before each of them."""
        rules: tuple[Choice | None, ...] = (None, *self.axes["stop_rule"])
        chosen = itertools.product(*(self.axes[slot] for slot in DEFAULT_COMPONENTS), rules)
        return tuple(_combine(*choices) for choices in chosen)

    def cells(self) -> Iterator[tuple[tuple[Choice, Choice, Choice], dict[Choice, list[Combination]]]]:
        """The table: block scheduler, context window and cache policy of each row, and its combinations by selector."""
        rows: dict[tuple[Choice, Choice, Choice], dict[Choice, list[Combination]]] = {}
        for one in self.all:
            c = one.choices
            row = rows.setdefault((c["block_scheduler"], c["context_window"], c["cache_policy"]), {})
            row.setdefault(c["unmask_selector"], []).append(one)
        yield from rows.items()


def combinations(registry: Registry) -> Combinations:
    """Combine everything that is registered, by the components' own `requires` and `conflicts`."""
    axes: dict[str, tuple[Choice, ...]] = {}
    unusable = []
    for slot in AXES:
        found: list[Choice] = []
        for name in registry.names(slot):
            try:
                found += _choices(slot, name, registry.resolve(slot, name))
            except PluginError as error:
                unusable.append(str(error))
        axes[slot] = tuple(found)
    return Combinations(axes, tuple(registry.names("model_family")), tuple(unusable))


def _choices(slot: str, name: str, cls: type) -> list[Choice]:
    """The component with its defaults, and with each value of a parameter that changes its rules."""
    usual = Choice(slot, name, cls, _make(cls))
    found = [usual]
    for f in dataclasses.fields(cls):
        for value in f.metadata.get("choices") or ():
            other = _make(cls, **{f.name: value})
            if other is not None and all(_rules(other) != _rules(c.component) for c in found):
                found.append(Choice(slot, name, cls, other, ((f.name, value),)))
    return found


def _make(cls: type, **options: Any) -> Any | None:
    """A component; None if it has parameters that must be given."""
    try:
        return cls(**options)
    except (TypeError, ValueError, ParameterError):
        return None


def _rules(component: Any) -> tuple[tuple[Rule, ...], ...]:
    return tuple(getattr(component, kind, ()) for kind in ("requires", "conflicts"))


def _combine(*choices: Choice | None) -> Combination:
    given = [c for c in choices if c is not None]
    problems: list[str] = []
    check_rules([c.placed for c in given], problems)
    return Combination({c.slot: c for c in given}, tuple(problems))
