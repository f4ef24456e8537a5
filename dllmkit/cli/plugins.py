"""`dllmkit plugins`: what recipes can name."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import TYPE_CHECKING, Any

from dllmkit.errors import PluginError
from dllmkit.parameters import ParameterInfo, describe_parameters
from dllmkit.plugins import LoadedPlugins, load_plugins
from dllmkit.recipe.values import plain, show
from dllmkit.registry import SLOTS, Registration, Registry

if TYPE_CHECKING:
    from dllmkit.combinations import Combination, Combinations


@dataclasses.dataclass(frozen=True)
class Listed:
    """A component as listed; `error` says why it cannot be used."""

    registration: Registration
    summary: str
    parameters: list[ParameterInfo]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        r = self.registration
        parameters = [{**dataclasses.asdict(p), "default": plain(p.default)} for p in self.parameters]
        return {
            "slot": r.slot,
            "name": r.name,
            "package": r.provider.package,
            "plugin": r.provider.name,
            "distribution": r.provider.distribution,
            "summary": self.summary,
            "parameters": parameters,
            "error": self.error,
        }


def plugins(as_json: bool = False, combined: bool = False) -> None:
    """Print every component with its parameters; problems of plugins go to standard error, or into the JSON.

    With `combined`, print which of them go together instead.
    """
    loaded = load_plugins()
    if combined:
        _print_combinations(loaded, as_json)
        return
    listed = [describe(loaded.registry, registration) for registration in loaded.registry.registrations()]
    if as_json:
        print(json.dumps({"components": [c.as_dict() for c in listed], "problems": problems(loaded)}, indent=2))
        return
    print("\n\n".join(_section(slot, [c for c in listed if c.registration.slot == slot]) for slot in SLOTS))
    loaded.warn()


def problems(loaded: LoadedPlugins) -> list[dict[str, Any]]:
    """What is wrong with plugins, as `--json` prints it."""
    return [
        {"plugin": p.provider.name, "distribution": p.provider.distribution, "message": p.message}
        for p in loaded.problems
    ]


def describe(registry: Registry, registration: Registration) -> Listed:
    """Import a component to see its docstring and parameters; what fails goes into `error`."""
    try:
        target = registry.resolve(registration.slot, registration.name)
        parameters = [] if registration.slot == "model_family" else describe_parameters(target)
    except (PluginError, NameError) as error:
        return Listed(registration, "", [], str(error))
    return Listed(registration, first_sentence(inspect.getdoc(target) or ""), parameters)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + "." if stop else paragraph


def _print_combinations(loaded: LoadedPlugins, as_json: bool) -> None:
    from dllmkit.combinations import AXES, combinations

    found = combinations(loaded.registry)
    if as_json:
        listed = [
            {
                **{slot: str(one.choices[slot]) if slot in one.choices else None for slot in AXES},
                "runs": one.runs,
                "reasons": list(one.reasons),
            }
            for one in found.all
        ]
        report = {"combinations": listed, "model_families": list(found.families), "unusable": list(found.unusable)}
        print(json.dumps({**report, "problems": problems(loaded)}, indent=2))
        return
    print(table(found))
    loaded.warn()


def table(found: Combinations) -> str:
    """The combinations as a table, block scheduler, context window and cache policy against selector, and its legend."""
    selectors = found.axes["unmask_selector"]
    numbers: dict[str, int] = {}
    rows = [("block scheduler", "context window", "cache policy", *map(str, selectors))]
    for place, cells in found.cells():
        rows.append((*map(str, place), *(_cell(cells[one], numbers) for one in selectors)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rules = ", ".join(["none", *map(str, found.axes["stop_rule"])])
    legend = [
        f"runs       with each stop rule ({rules}) and each model family ({', '.join(found.families)})",
        "runs [n]   but not with the stop rule that n is about",
        "[n]        refused when the recipe is read:",
        *(f"  [{n}] {reason}" for reason, n in numbers.items()),
        *(f"  cannot be used: {error}" for error in found.unusable),
    ]
    runs = sum(one.runs for one in found.all)
    return "\n".join([*lines, "", f"{runs} of {len(found.all)} combinations run, for each model family.", *legend])


def _cell(combined: list[Combination], numbers: dict[str, int]) -> str:
    """One cell, giving each new reason the next number."""
    always = set.intersection(*(set(one.reasons) for one in combined))
    refused = sorted({reason for one in combined for reason in one.reasons if reason in always or not always})
    marks = " ".join(f"[{numbers.setdefault(reason, len(numbers) + 1)}]" for reason in refused)
    return marks if all(not one.runs for one in combined) else f"runs {marks}".rstrip()


def _section(slot: str, listed: list[Listed]) -> str:
    if not listed:
        return f"{slot}\n  (none)"
    name_width = max(len(c.registration.name) for c in listed)
    package_width = max(len(_package(c.registration)) for c in listed)
    lines = [slot]
    for c in listed:
        what = f"cannot be used: {c.error}" if c.error else c.summary
        lines.append(
            f"  {c.registration.name:{name_width}}  {_package(c.registration):{package_width}}  {what}".rstrip()
        )
        rows = [
            (p.name, p.type, "required" if p.required else f"= {show(plain(p.default))}", p.range) for p in c.parameters
        ]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
        for row, parameter in zip(rows, c.parameters, strict=True):
            cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True) if width)
            lines.append(f"      {cells}  {parameter.doc}".rstrip())
    return "\n".join(lines)


def _package(registration: Registration) -> str:
    provider = registration.provider
    own = provider.distribution in (None, "dllmkit")
    return provider.package if own else f"{provider.package} ({provider.distribution})"
