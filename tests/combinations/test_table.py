"""The table of combinations: what is refused and why, how it is shown, and that it is made from the components' own rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from kitchen import kitchen
from methods import COMBINATIONS, PLUGINS
from shell import call, python

from dllmkit.combinations import combinations
from dllmkit.errors import RecipeError
from dllmkit.hookspecs import hookimpl
from dllmkit.parameters import Rule, param
from dllmkit.plugins import load_plugins
from dllmkit.recipe import load_recipe

SLIDES = "it refreshes at every new block, and a sliding block is new at every step"
ENDS = "rule block_end waits for a complete block, and a sliding block moves on before it is one: use prefix_complete"
REFUSED = [
    (
        {"block_scheduler": "sliding_block", "cache_policy": cache},
        f"decode.cache_policy = {cache} cannot go with decode.block_scheduler = sliding_block: {SLIDES}",
    )
    for cache in ("prefix_cache", "dual_cache")
] + [
    (
        {"block_scheduler": "sliding_block", "stop_rules": [{"name": "eos", "rule": "block_end"}]},
        f"decode.stop_rules = eos cannot go with decode.block_scheduler = sliding_block: {ENDS}",
    )
]


@pytest.mark.parametrize(("decode", "reason"), REFUSED, ids=["prefix_cache", "dual_cache", "block_end"])
def test_a_refusal_says_why(decode, reason):
    with pytest.raises(RecipeError) as caught:
        load_recipe({"decode": decode}, (), PLUGINS)
    assert caught.value.problems == (reason,)


def test_nothing_else_is_refused():
    assert {reason for one in COMBINATIONS.all for reason in one.reasons} == {reason for _, reason in REFUSED}


def test_the_rules_of_the_other_values_do_not_hold():
    load_recipe({"decode": {"block_scheduler": "sliding_block", "stop_rules": ["eos"]}}, (), PLUGINS)
    load_recipe({"decode": {"stop_rules": [{"name": "eos", "rule": "block_end"}]}}, (), PLUGINS)


def test_every_component_is_in_the_table():
    registry = PLUGINS.registry
    for slot, choices in COMBINATIONS.axes.items():
        assert sorted({c.name for c in choices}) == registry.names(slot)
    assert list(map(str, COMBINATIONS.axes["stop_rule"])) == ["eos", "eos rule=block_end"]
    sizes = [len(registry.names(slot)) for slot in COMBINATIONS.axes if slot != "stop_rule"]
    assert len(COMBINATIONS.all) == sizes[0] * sizes[1] * sizes[2] * sizes[3] * 3


@dataclass(frozen=True)
class Picky:
    """Goes with sliding blocks only."""

    requires: ClassVar[tuple[Rule, ...]] = (Rule("block_scheduler", ("sliding_block",), "so it is"),)
    must: int = param()


@dataclass(frozen=True)
class Moody:
    mode: str = param("a", choices=("a", "b", "c"))

    @property
    def conflicts(self) -> tuple[Rule, ...]:
        return () if self.mode != "b" else (Rule("context_window", ("full",), "in mode b"),)


def test_the_rules_are_the_components_own():
    plugin: Any = SimpleNamespace(__name__="strange")
    plugin.caches = hookimpl(specname="dllmkit_cache_policies")(lambda: {"picky": Picky, "gone": "no_such_module:Gone"})
    plugin.selectors = hookimpl(specname="dllmkit_unmask_selectors")(lambda: {"moody": Moody})
    loaded = load_plugins(
        [plugin], environ={"DLLMKIT_PLUGINS": ""}, built_in=["dllmkit_baseline", "dllmkit_dsb", "dllmkit_streaming"]
    )
    found = combinations(loaded.registry)
    assert [str(c) for c in found.axes["unmask_selector"] if c.name == "moody"] == ["moody", "moody mode=b"]
    assert len(found.unusable) == 1
    assert "gone" in found.unusable[0]
    for one in found.all:
        named = {slot: str(choice) for slot, choice in one.choices.items()}
        wrong = (
            (named["cache_policy"] == "picky" and named["block_scheduler"] != "sliding_block"),
            (named["unmask_selector"] == "moody mode=b" and named["context_window"] == "full"),
            (named.get("stop_rule") == "eos rule=block_end" and named["block_scheduler"] == "sliding_block"),
        )
        assert len(one.reasons) == sum(wrong)


def test_rules_of_the_kitchen():
    found = combinations(kitchen().registry)
    picked = [one for one in found.all if one.runs and one.choices["cache_policy"].name == "sliding_cache"]
    assert {(str(o.choices["block_scheduler"]), str(o.choices["context_window"])) for o in picked} == {
        ("sliding", "full")
    }
    assert not any(one.runs for one in found.all if str(one.choices["cache_policy"]) == "confused")


def test_the_command(capsys, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    outcome = call(capsys, "plugins", "--combinations")
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    rows = [line.split("  ") for line in lines[: lines.index("")]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["block scheduler", "context window", "cache policy", *PLUGINS.registry.names("unmask_selector")]
    said = {tuple(row[:3]): set(row[3:]) for row in cells[1:]}
    assert said["fixed_blocks", "suffix_window", "dsb_cache"] == {"runs"}
    assert said["sliding_block", "full", "dsb_cache"] == {"runs [1]"}
    assert said["sliding_block", "full", "dual_cache"] == {"[2]"}
    assert said["sliding_block", "suffix_window", "prefix_cache"] == {"[3]"}
    order = [REFUSED[2], REFUSED[1], REFUSED[0]]
    assert [line.strip() for line in lines if line.startswith("  [")] == [
        f"[{n}] {reason}" for n, (_, reason) in enumerate(order, 1)
    ]
    assert f"{sum(one.runs for one in COMBINATIONS.all)} of {len(COMBINATIONS.all)} combinations run" in outcome.out


def test_the_json(capsys, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    report = json.loads(call(capsys, "plugins", "--combinations", "--json").out)
    assert report["model_families"] == ["dream", "llada"]
    assert (report["unusable"], report["problems"]) == ([], [])
    assert [one["runs"] for one in report["combinations"]] == [one.runs for one in COMBINATIONS.all]
    first = report["combinations"][0]
    assert list(first) == [
        "block_scheduler", "context_window", "cache_policy", "unmask_selector", "stop_rule", "runs", "reasons",
    ]  # fmt: skip
    assert first["stop_rule"] is None


def test_the_command_is_light():
    code = (
        "import os, sys\nfrom dllmkit.cli import main\n"
        "try: main(['plugins', '--combinations'])\nexcept SystemExit as done: assert not done.code, done.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'safetensors', 'rich', 'huggingface_hub'}\n"
        "print(*(heavy & set(sys.modules)), sum(os.times()[:2]) < 0.5, file=sys.stderr)"
    )
    outcomes = [python("-c", code, DLLMKIT_PLUGINS="") for _ in range(3)]
    assert {outcome.status for outcome in outcomes} == {0}
    assert "True" in {outcome.err.strip() for outcome in outcomes}
