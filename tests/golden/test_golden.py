"""The authors' released code, replayed: same tokens, same number of forwards, same length of each (tests/golden/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dllmkit import Decoder
from dllmkit.plugins import load_plugins

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.json"))


def decode_section(name: str, args: dict[str, Any]) -> dict[str, Any]:
    """The recipe that states the same run as the reference call `args`."""
    method = name.split(".", 1)[1]
    selector = method.split(".")[-1]
    section: dict[str, Any] = {"gen_length": args["gen_length"], "as_released": True}
    section["block_scheduler"] = {"name": "fixed_blocks", "block_length": args["block_length"]}
    if method.startswith("dsb"):
        longest = args["max_block_length"]
        section["block_scheduler"]["name"] = "sliding_block"
        section["block_scheduler"]["max_block_length"] = None if longest == -1 else longest
    if method.startswith("dsb_cache"):
        section["cache_policy"] = {"name": "dsb_cache", "prefix_window": args["prefix_window"]}
    if method.startswith(("prefix_cache", "dual_cache")):
        section["cache_policy"] = {"name": method.split(".")[0]}
    section["unmask_selector"] = selector_of(selector, args)
    if method.startswith("streaming"):
        section["context_window"] = {"name": "suffix_window", "window": args["window_size"]}
        section["cache_policy"] = {"name": "prefix_cache"}
        section["stop_rules"] = [{"name": "eos", "rule": "block_end"}]
    return section


def selector_of(selector: str, args: dict[str, Any]) -> dict[str, Any]:
    if selector.startswith("streaming"):
        return {"name": "dynamic_threshold", "tau": args["threshold"], "alpha": args["confidence_alpha"]}
    if selector.startswith("dawn"):
        taus = {name: args[name] for name in ("tau_sink", "tau_edge", "tau_induce")}
        return {"name": "dawn", **taus, "tau_low": args.get("tau_low", args.get("conf_threshold"))}
    if selector == "local_leap":
        tau = args.get("threshold", args.get("conf_threshold"))
        return {"name": "local_leap", "tau": tau, "tau_relaxed": args["relaxed_threshold"], "radius": args["radius"]}
    return {
        "quota": lambda: {"name": "quota", "steps": args["steps"]},
        "threshold": lambda: {"name": "threshold", "tau": args["threshold"]},
        "factor": lambda: {"name": "factor", "factor": args["factor"]},
        "entropy": lambda: {"name": "dream_schedule", "steps": args["gen_length"], "measure": "neg_entropy"},
    }[selector]()


def known(section: dict[str, Any]) -> bool:
    """Whether every component of a section is installed; `test_every_method_is_covered` keeps the list honest."""
    registry = load_plugins().registry
    slots = ("block_scheduler", "context_window", "cache_policy", "unmask_selector")
    return all(section[s]["name"] in registry.names(s) for s in slots if s in section)


CASES = [(path, json.loads(path.read_text())) for path in FILES]
REPLAYED = [c for c in CASES if known(decode_section(c[1]["name"], c[1]["cases"][0]["args"]))]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("golden", [pytest.param(g, id=p.stem) for p, g in REPLAYED])
def test_replay(golden, batch_size):
    by_model: dict[str, list[dict[str, Any]]] = {}
    for case in golden["cases"]:
        by_model.setdefault(case["model"], []).append(case)
    for model, cases in by_model.items():
        recipe = {
            "model": {"path": str(HERE / model)},
            "decode": decode_section(golden["name"], cases[0]["args"]),
            "runtime": {"device": "cpu", "dtype": "float64", "batch_size": batch_size},
        }
        results = Decoder.from_recipe(recipe).decode([c["prompt"] for c in cases])
        for case, result in zip(cases, results, strict=True):
            assert result.tokens == case["tokens"]
            assert result.nfe == case["nfe"]
            assert result.query_lengths == case["forward_lengths"]


def test_the_baseline_is_covered():
    replayed = {p.stem for p, _ in REPLAYED}
    assert {"llada.quota", "llada.threshold", "llada.factor", "dream.entropy", "dream.threshold"} <= replayed
