"""The components of a recipe: built from their names and parameters, and checked against one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dllmkit.errors import PluginError, nearest
from dllmkit.parameters import Rule
from dllmkit.recipe.layers import Leaf, plain
from dllmkit.recipe.schema import DEFAULT_COMPONENTS, STOP_RULES
from dllmkit.recipe.values import UNUSABLE, field_values, make, show
from dllmkit.registry import SLOTS, Registry


@dataclasses.dataclass(frozen=True)
class Placed:
    """A component at its place in a recipe; `component` is None if its parameters are wrong."""

    slot: str
    path: str
    name: str
    cls: type
    component: Any | None

    @property
    def resolved(self) -> dict[str, Any]:
        """Name and parameters as plain values, defaults included."""
        return {"name": self.name, **field_values(self.component)}

    @property
    def setting(self) -> str:
        """The choice as messages show it."""
        return f"decode.{STOP_RULES if self.slot == 'stop_rule' else self.slot} = {self.name}"


def places(decode: Any) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Yield slot, path and tree of each component of the section `decode`."""
    for slot in DEFAULT_COMPONENTS:
        yield slot, ("decode", slot), decode.get(slot)
    rules = decode.get(STOP_RULES)
    for at, rule in enumerate(rules if isinstance(rules, list) else []):
        yield "stop_rule", ("decode", STOP_RULES, str(at)), rule


def build(registry: Registry, slot: str, path: str, tree: Any, problems: list[str]) -> Placed | None:
    """Build one component; append everything that is wrong with it to `problems`."""
    known = registry.names(slot)
    values = plain(tree)
    if not isinstance(values, dict):
        problems.append(f"{path} = {show(values)}, expected a name; known: {', '.join(known)}")
        return None
    name = values.pop("name", None)
    if name is UNUSABLE:
        return None
    if not isinstance(name, str):
        said = f"{path} has no name" if name is None else f"{path}.name = {show(name)}, expected a name"
        problems.append(f"{said}; known: {', '.join(known)}")
        return None
    if name not in known:
        problems.append(f"{path}: unknown {slot.replace('_', ' ')} '{name}': {nearest(name, known)}")
        return None
    try:
        cls = registry.resolve(slot, name)
        return Placed(slot, path, name, cls, make(cls, path, values, problems))
    except PluginError as error:
        problems.append(f"{path}: {error}")
    except NameError as error:  # imported under TYPE_CHECKING only
        problems.append(f"{path}: {name} has a field whose type is not there while the program runs: {error}")
    return None


def with_defaults(registry: Registry, tree: Any) -> Any:
    """Lay the default parameters of every component that a tree names under it."""
    decode = dict(tree["decode"])
    for slot, path, component in places(decode):
        name = component.get("name") if isinstance(component, dict) else None
        if isinstance(name, Leaf) and name.value in registry.names(slot):
            filled = {**_defaults(registry, slot, name.value), **component}
            if slot == "stop_rule":
                decode[STOP_RULES] = [filled if str(at) == path[-1] else r for at, r in enumerate(decode[STOP_RULES])]
            else:
                decode[slot] = filled
    return {**tree, "decode": decode}


def check_rules(placed: Sequence[Placed], problems: list[str]) -> None:
    """Refuse the combinations that a component's `requires` and `conflicts` rule out."""
    for one in placed:
        holder = one.component if one.component is not None else one.cls
        for kind in ("requires", "conflicts"):
            rules = getattr(holder, kind, ())
            for rule in rules if isinstance(rules, tuple) else ():
                problem = _broken(one, kind, rule, placed)
                if problem:
                    problems.append(problem)


def _broken(one: Placed, kind: str, rule: Rule, placed: Sequence[Placed]) -> str | None:
    if rule.slot not in SLOTS:
        return f"{one.path}: {one.name} has a rule about '{rule.slot}': {nearest(rule.slot, SLOTS)}"
    others = [other for other in placed if other.slot == rule.slot and other is not one]
    single = rule.slot in DEFAULT_COMPONENTS
    if single and not others:
        return None  # that component is a problem of its own
    match = next((other for other in others if other.name in rule.names), None)
    if kind == "conflicts":
        return f"{one.setting} cannot go with {match.setting}: {rule.reason}" if match else None
    if match:
        return None
    wanted = f"decode.{rule.slot if single else STOP_RULES} = {' or '.join(rule.names)}"
    return f"{one.setting} needs {wanted}{f', not {others[0].name}' if single else ''}: {rule.reason}"


def _defaults(registry: Registry, slot: str, name: str) -> dict[str, Leaf]:
    try:
        cls = registry.resolve(slot, name)
    except PluginError:
        return {}  # reported when the component is built
    found = {}
    for f in dataclasses.fields(cls):
        if f.default is not dataclasses.MISSING:
            found[f.name] = Leaf(f.default, "default")
        elif f.default_factory is not dataclasses.MISSING:
            found[f.name] = Leaf(f.default_factory(), "default")
    return found
