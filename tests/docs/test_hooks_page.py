"""docs/reference/hooks.md has every hook, and every method of the hook points' protocols, with its exact signature."""

from __future__ import annotations

import dataclasses
import inspect
import re

from shell import ROOT

from dllmkit import hookspecs, slots
from dllmkit.plugins import HOOKS
from dllmkit.signals import Attention, Signals

PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8").replace("\\|", "|")
SPECS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("dllmkit_")}


def signature(function) -> str:
    """Arguments and result as they are written, `self` left out."""
    found = inspect.signature(function)
    arguments = [str(p).replace("'", "") for p in found.parameters.values() if p.name != "self"]
    return f"({', '.join(arguments)}) -> {found.return_annotation}"


def protocol_methods() -> list[str]:
    """Methods and properties of the protocols in `dllmkit.slots`, as the page writes them."""
    written = []
    for name, protocol in vars(slots).items():
        if (
            not (isinstance(protocol, type) and getattr(protocol, "_is_protocol", False))
            or protocol.__module__ != slots.__name__
        ):
            continue
        for member, value in vars(protocol).items():
            if isinstance(value, property):
                written.append(f"{name}.{member} -> {inspect.signature(value.fget).return_annotation}")
            elif inspect.isfunction(value) and value.__qualname__ == f"{name}.{member}" and member != "__init__":
                written.append(f"{name}.{member}{signature(value)}")
    return written


def test_every_hook_is_a_heading_with_its_signature():
    headings = re.findall(r"^### `(dllmkit_.+)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(name + signature(spec) for name, spec in SPECS.items())


def test_every_hook_says_what_its_docstring_says():
    missing = [name for name, spec in SPECS.items() if inspect.getdoc(spec) not in PAGE]
    assert missing == []


def test_there_is_no_other_hook():
    assert set(SPECS) == {*HOOKS, "dllmkit_recipe_dirs"}


def test_every_method_of_a_hook_point_is_there():
    methods = protocol_methods()
    assert len(methods) > 10
    assert [method for method in methods if f"`{method}`" not in PAGE] == []


def test_every_signal_is_there():
    signals = [field.name for field in dataclasses.fields(Signals)]
    assert [name for name in signals if f"| `{name}` |" not in PAGE] == []
    assert f"`Attention({', '.join(field.name for field in dataclasses.fields(Attention))})`" in PAGE
