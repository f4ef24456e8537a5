"""The sections of a recipe, built from its tree of values."""

from __future__ import annotations

import dataclasses
from typing import Any

from dllmkit.errors import nearest
from dllmkit.recipe.components import build, check_rules, places
from dllmkit.recipe.layers import plain
from dllmkit.recipe.schema import (
    DEFAULT_COMPONENTS,
    PUBLISHED,
    SECTIONS,
    STOP_RULES,
    DecodeOptions,
    DecodeSettings,
    PublishedFigures,
)
from dllmkit.recipe.values import field_values, make, show
from dllmkit.registry import Registry

_KEYS = {
    section: [f.name for f in dataclasses.fields(cls)]
    + ([*DEFAULT_COMPONENTS, STOP_RULES] if section == "decode" else [])
    for section, cls in SECTIONS.items()
}


@dataclasses.dataclass(frozen=True)
class Section:
    """A section that can be used: its settings, and the same as plain values."""

    settings: Any
    resolved: dict[str, Any]


def build_sections(tree: dict[str, Any], registry: Registry, problems: list[str]) -> dict[str, Section] | None:
    """Build all sections; append everything that is wrong to `problems`, and return None if anything is."""
    known = [*SECTIONS, PUBLISHED, "extends"]
    for key in tree:
        if key not in SECTIONS:
            problems.append(f"unknown key '{key}': {_elsewhere(key) or nearest(key, known)}")
    built = {}
    for name, cls in SECTIONS.items():
        if name == "decode":
            built[name] = _build_decode(tree[name], registry, problems)
        else:
            settings = make(cls, name, plain(tree[name]), problems, elsewhere=_elsewhere)
            built[name] = Section(settings, field_values(settings)) if settings is not None else None
    complete = {name: section for name, section in built.items() if section is not None}
    return complete if len(complete) == len(SECTIONS) else None


def build_published(values: Any, problems: list[str]) -> PublishedFigures | None:
    """Build the published figures of a recipe; None if it has none, or if something is wrong with them."""
    if values is None:
        return None
    if not isinstance(values, dict):
        problems.append(f"{PUBLISHED} = {show(values)}, expected a mapping")
        return None
    figures: PublishedFigures | None = make(PublishedFigures, PUBLISHED, values, problems)
    return figures


def _build_decode(tree: dict[str, Any], registry: Registry, problems: list[str]) -> Section | None:
    before, values = len(problems), plain(tree)
    slots = {key: values.pop(key) for key in [*DEFAULT_COMPONENTS, STOP_RULES]}
    options = make(DecodeOptions, "decode", values, problems, known=_KEYS["decode"], elsewhere=_elsewhere)
    built = [build(registry, slot, ".".join(path), component, problems) for slot, path, component in places(tree)]
    placed = [one for one in built if one is not None]
    if not isinstance(slots[STOP_RULES], list):
        problems.append(f"decode.{STOP_RULES} = {show(slots[STOP_RULES])}, expected a list")
    check_rules(placed, problems)
    if options is None or len(placed) < len(built) or len(problems) > before:
        return None
    single = {one.slot: one for one in placed if one.slot in DEFAULT_COMPONENTS}
    rules = [one for one in placed if one.slot == "stop_rule"]
    chosen: dict[str, Any] = {slot: one.component for slot, one in single.items()}
    kept = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    chosen[STOP_RULES] = tuple(one.component for one in rules)
    settings = DecodeSettings(**kept, **chosen)
    shown = field_values(options) | {slot: one.resolved for slot, one in single.items()}
    return Section(settings, shown | {STOP_RULES: [one.resolved for one in rules]})


def _elsewhere(key: str) -> str | None:
    """Say which section a key belongs to, if it is a key of one."""
    home = next((section for section, keys in _KEYS.items() if key in keys), None)
    return f"did you mean '{home}.{key}'?" if home else None
