"""The registry of components: which plugin offers what, under which name, without importing it."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from typing import Any

from dllmkit.errors import PluginError, nearest

SLOTS = ("block_scheduler", "context_window", "cache_policy", "unmask_selector", "stop_rule", "model_family")
"""What a component can be; the first five are keys of a recipe (stop rules as the list `stop_rules`)."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclasses.dataclass(frozen=True)
class Provider:
    """A plugin as messages name it: the entry point's name, its import package, and the distribution it came with."""

    name: str
    package: str
    distribution: str | None = None

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({self.distribution or 'no distribution'})"


@dataclasses.dataclass(frozen=True)
class Registration:
    """A component's place in the registry; `target` is a class, or "package.module:Class" that is not imported yet."""

    slot: str
    name: str
    target: str | Callable[..., Any]
    provider: Provider


class Registry:
    """Components of all slots by name."""

    def __init__(self) -> None:
        self._slots: dict[str, dict[str, Registration]] = {slot: {} for slot in SLOTS}

    def add(self, slot: str, name: str, target: str | Callable[..., Any], provider: Provider) -> None:
        """Register a component; raise PluginError if the name is taken or malformed, or the target cannot be one."""
        known = self._slot(slot)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"{slot} name {name!r} is not a lower-case word like 'sliding_block'")
        if not (callable(target) or (isinstance(target, str) and _TARGET.fullmatch(target))):
            raise PluginError(f"{slot} '{name}' has target {target!r}, expected a class or 'package.module:Class'")
        if name in known:
            raise PluginError(f"{slot} '{name}' is registered already by {known[name].provider}")
        known[name] = Registration(slot, name, target, provider)

    def names(self, slot: str) -> list[str]:
        """List the names of a slot, sorted."""
        return sorted(self._slot(slot))

    def get(self, slot: str, name: str) -> Registration:
        """Return who registered a name and what; raise PluginError with the nearest name if nobody did."""
        known = self._slot(slot)
        if name not in known:
            raise PluginError(f"unknown {slot} '{name}': {nearest(name, known)}")
        return known[name]

    def registrations(self) -> list[Registration]:
        """List everything, slot by slot in the order of `SLOTS`, names sorted."""
        return [self._slots[slot][name] for slot in SLOTS for name in self.names(slot)]

    def resolve(self, slot: str, name: str) -> Any:
        """Import a component and return it: a dataclass for the slots of a recipe, any callable for a model family.

        Raises PluginError, naming the plugin, if it cannot be imported or is no component.
        """
        entry = self.get(slot, name)
        what = f"{slot} '{name}' of {entry.provider}"
        target = _load(entry.target, what) if isinstance(entry.target, str) else entry.target
        if not callable(target):
            raise PluginError(f"{what} is {target!r}, expected a class")
        if slot != "model_family":
            _check_component(target, what)
        return target

    def _slot(self, slot: str) -> dict[str, Registration]:
        if slot not in self._slots:
            raise PluginError(f"unknown slot '{slot}': {nearest(slot, SLOTS)}")
        return self._slots[slot]


def _load(target: str, what: str) -> Any:
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except Exception as error:  # a stranger's module may fail in any way
        raise PluginError(f"{what} cannot be imported from '{target}': {type(error).__name__}: {error}") from error
    return found


def _check_component(target: Any, what: str) -> None:
    if not (isinstance(target, type) and dataclasses.is_dataclass(target)):
        raise PluginError(f"{what} is {target!r}, expected a dataclass whose fields are its parameters")
    if "name" in {f.name for f in dataclasses.fields(target)}:
        raise PluginError(f"{what} has a parameter called 'name', which recipes use for the component itself")
