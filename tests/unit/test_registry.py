"""The registry: lazy targets, and messages that name the plugin."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from dllmkit.errors import PluginError
from dllmkit.registry import Provider, Registry

OURS = Provider("dllmkit_baseline", "dllmkit_baseline", "dllmkit")
THEIRS = Provider("zigzag", "dllmkit_zigzag", "dllmkit-zigzag 0.1.0")


@dataclass(frozen=True)
class Component:
    size: int = 1


@dataclass(frozen=True)
class Misnamed:
    name: str = "x"


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add("block_scheduler", "fixed_blocks", Component, OURS)
    registry.add("block_scheduler", "lazy", "fractions:Fraction", OURS)
    return registry


def test_names_are_sorted_and_slots_are_apart(registry):
    registry.add("cache_policy", "fixed_blocks", Component, OURS)
    assert registry.names("block_scheduler") == ["fixed_blocks", "lazy"]
    assert [(r.slot, r.name) for r in registry.registrations()] == [
        ("block_scheduler", "fixed_blocks"),
        ("block_scheduler", "lazy"),
        ("cache_policy", "fixed_blocks"),
    ]


def test_who_registered_what(registry):
    entry = registry.get("block_scheduler", "fixed_blocks")
    assert (entry.target, entry.provider) == (Component, OURS)


def test_a_target_is_imported_only_when_it_is_resolved(registry, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lazy_one.py").write_text(
        "from dataclasses import dataclass\nclass Outer:\n    @dataclass\n    class Inner:\n        x: int = 1\n"
    )
    registry.add("stop_rule", "late", "lazy_one:Outer.Inner", THEIRS)
    assert "lazy_one" not in sys.modules
    assert registry.resolve("stop_rule", "late").__name__ == "Inner"


def test_a_model_family_may_be_any_callable(registry):
    registry.add("model_family", "plain", "fractions:Fraction", OURS)
    assert registry.resolve("model_family", "plain").__name__ == "Fraction"


def _add(name, target):
    return lambda r: r.add("block_scheduler", name, target, THEIRS)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            _add("fixed_blocks", Component),
            "block_scheduler 'fixed_blocks' is registered already by plugin 'dllmkit_baseline' (dllmkit)",
        ),
        (_add("Fixed Blocks", Component), "block_scheduler name 'Fixed Blocks' is not a lower-case word like 'sliding_block'"),
        (_add("x", "fractions"), "block_scheduler 'x' has target 'fractions', expected a class or 'package.module:Class'"),
        (_add("x", 5), "block_scheduler 'x' has target 5, expected a class or 'package.module:Class'"),
        (lambda r: r.get("block_scheduler", "fixd_blocks"),
         "unknown block_scheduler 'fixd_blocks': did you mean 'fixed_blocks'?"),
        (lambda r: r.get("block_scheduler", "zzz"), "unknown block_scheduler 'zzz': known: fixed_blocks, lazy"),
        (lambda r: r.get("stop_rule", "eos"), "unknown stop_rule 'eos': none is known"),
        (lambda r: r.names("block_schedulers"), "unknown slot 'block_schedulers': did you mean 'block_scheduler'?"),
        (
            lambda r: r.resolve("block_scheduler", "lazy"),
            "block_scheduler 'lazy' of plugin 'dllmkit_baseline' (dllmkit) is <class 'fractions.Fraction'>, "
            "expected a dataclass whose fields are its parameters",
        ),
    ],
)  # fmt: skip
def test_messages(registry, action, message):
    with pytest.raises(PluginError) as caught:
        action(registry)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:X",
         "cannot be imported from 'no_such_module:X': ModuleNotFoundError: No module named 'no_such_module'"),
        ("fractions:X", "cannot be imported from 'fractions:X': AttributeError: module 'fractions' has no attribute 'X'"),
        ("math:pi", "is 3.141592653589793, expected a class"),
        (Misnamed, "has a parameter called 'name', which recipes use for the component itself"),
    ],
)  # fmt: skip
def test_a_bad_target_names_its_plugin(registry, target, message):
    registry.add("stop_rule", "bad", target, THEIRS)
    with pytest.raises(PluginError) as caught:
        registry.resolve("stop_rule", "bad")
    assert str(caught.value) == f"stop_rule 'bad' of plugin 'zigzag' (dllmkit-zigzag 0.1.0) {message}"
