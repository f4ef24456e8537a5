"""Parameters of components: dataclass fields with a range and a line of documentation."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

from dllmkit.errors import ParameterError

_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", lambda v, b: v > b),
    "ge": (">=", lambda v, b: v >= b),
    "lt": ("<", lambda v, b: v < b),
    "le": ("<=", lambda v, b: v <= b),
}


def param(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] | None = None,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a component's parameter: its default (or none: it must be given), one line about it, and its range.

    `check` is for what a range cannot say: it returns what is wrong with a value ("expected a power of two"), or None.
    """
    metadata = {"doc": doc, "gt": gt, "ge": ge, "lt": lt, "le": le, "choices": choices, "check": check}
    return dataclasses.field(default=default, metadata=metadata)


def range_problems(fields: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> list[str]:
    """Say which of `values` lie outside the range that the metadata of their field states."""
    problems = []
    for name, value in values.items():
        metadata = fields.get(name, {})
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        bounds = [(k, metadata[k]) for k in _BOUNDS if metadata.get(k) is not None]
        if numeric and not all(_BOUNDS[k][1](value, bound) for k, bound in bounds):  # NaN fails every comparison
            problems.append(f"{name} = {value!r}, expected {' and '.join(f'{_BOUNDS[k][0]} {b}' for k, b in bounds)}")
        choices = metadata.get("choices")
        if choices and value is not None and value not in choices:
            problems.append(f"{name} = {value!r}, expected one of: {', '.join(choices)}")
        wrong = metadata["check"](value) if metadata.get("check") else None
        if wrong:
            problems.append(f"{name} = {value!r}, {wrong}")
    return problems


def check_parameters(component: Any) -> None:
    """Raise ParameterError when a field of a component lies outside its range; call it in `__post_init__`."""
    fields = {f.name: f.metadata for f in dataclasses.fields(component)}
    problems = range_problems(fields, {name: getattr(component, name) for name in fields})
    if problems:
        raise ParameterError([f"{type(component).__name__}: {p}" for p in problems])


@dataclasses.dataclass(frozen=True)
class ParameterInfo:
    """What a listing says of one parameter."""

    name: str
    type: str
    default: Any
    required: bool
    doc: str
    range: str


def describe_parameters(component: type) -> list[ParameterInfo]:
    """List the parameters of a component class: name, type, default, documentation and range."""
    hints = typing.get_type_hints(component)
    listed = []
    for f in dataclasses.fields(component):
        hint = hints[f.name]
        bounds = [f"{_BOUNDS[k][0]} {f.metadata[k]}" for k in _BOUNDS if f.metadata.get(k) is not None]
        bounds += [" | ".join(f.metadata["choices"])] if f.metadata.get("choices") else []
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        factory: Any = f.default_factory
        default = None if required else f.default if factory is dataclasses.MISSING else factory()
        shown = (
            hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")
        )
        listed.append(ParameterInfo(f.name, shown, default, required, f.metadata.get("doc", ""), ", ".join(bounds)))
    return listed


@dataclasses.dataclass(frozen=True)
class Rule:
    """A component's word on what it is combined with: for `slot`, the names it needs, or the names it cannot go with.

    Components list rules in the class variables `requires` and `conflicts`; recipes that break one are refused with `reason`.
    """

    slot: str
    names: tuple[str, ...]
    reason: str
