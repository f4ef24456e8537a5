"""The published methods with parameters that do something on a toy, and what must hold of any decode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from hypothesis import strategies as st

from dllmkit.combinations import Combination, combinations
from dllmkit.plugins import load_plugins
from dllmkit.policy import Policy
from dllmkit.proposal import Proposal
from dllmkit.recipe import load_recipe
from dllmkit.signals import Signals
from dllmkit.slots import Selection
from dllmkit.state import Row
from dllmkit.step import StepRecord
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.factor import Factor
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.quota import Quota
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_fast_dllm.prefix_cache import PrefixCache
from dllmkit_klass.klass import Klass
from dllmkit_local_leap.local_leap import LocalLeap
from dllmkit_streaming.dynamic_threshold import DynamicThreshold
from dllmkit_streaming.suffix_window import SuffixWindow

PLUGINS = load_plugins(environ={"DLLMKIT_PLUGINS": ""})
COMBINATIONS = combinations(PLUGINS.registry)

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "fixed_blocks": [{"block_length": 3}],
    "sliding_block": [{"block_length": 3, "max_block_length": None}, {"block_length": 3, "max_block_length": 3}],
    "suffix_window": [{"window": 2}],
    "dsb_cache": [{"prefix_window": 1}],
    "threshold": [{"tau": 0.4}],
    "dynamic_threshold": [{"tau": 0.6, "alpha": 0.7}],
    "quota": [{"steps": 4}],
    "dream_schedule": [{"steps": 4}],
    "local_leap": [{"tau": 0.5, "tau_relaxed": 0.3, "radius": 1}],
    "dawn": [{"layers": 1, "tau_high": 0.6, "tau_induce": 0.4, "tau_low": 0.3, "tau_sink": 0.2, "tau_edge": 0.1}],
    "klass": [{"tau": 0.4, "kl": 0.5, "history": 1, "steps": 4}],
}
"""Parameters for a generation of 7 positions; components that are not here are used as they come."""

selectors = st.one_of(
    st.builds(Quota, st.sampled_from([None, 1, 7, 50])),
    st.builds(Threshold, st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    st.builds(Factor, st.sampled_from([0.1, 1.0, 4.0])),
    st.builds(DreamSchedule, st.sampled_from([None, 5, 40]), st.sampled_from(["confidence", "margin", "neg_entropy"])),
    st.builds(LocalLeap, st.sampled_from([0.4, 0.9]), st.sampled_from([0.2, 0.5]), st.integers(0, 5)),
    st.builds(Klass, st.sampled_from([0.3, 0.6]), st.sampled_from([0.05, 2.0]), st.integers(1, 2), st.none()),
    st.builds(
        Dawn, tau_high=st.sampled_from([0.5, 0.9]), tau_sink=st.sampled_from([0.01, 0.1, 1.0]),
        tau_edge=st.sampled_from([0.02, 0.1]), tau_induce=st.just(0.3), tau_low=st.just(0.2),
        layers=st.integers(1, 2), blocked=st.sampled_from(["and", "or", "none"]),
    ),
)  # fmt: skip
"""Every selector whose choice depends on nothing but the eligible positions; `decays` has the other one."""

decays = st.builds(
    DynamicThreshold, st.sampled_from([0.5, 0.9]), st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from(["auto", "query", "window"]), st.sampled_from([0.0, 0.3]),
)  # fmt: skip

fixed = st.builds(FixedBlocks, st.integers(1, 12))


@st.composite
def sliding(draw: st.DrawFn) -> SlidingBlock:
    """Sliding blocks, greedy, constant and in between."""
    length = draw(st.integers(1, 12))
    return SlidingBlock(length, draw(st.one_of(st.none(), st.integers(length, length + 6))))


windows = st.builds(SuffixWindow, st.integers(0, 12), st.integers(0, 2), st.sampled_from(["frozen", "follow"]))
dsb_caches = st.builds(DsbCache, st.integers(0, 6), st.integers(0, 4), st.sampled_from([None, 1, 3, 40]))
block_caches = st.sampled_from([PrefixCache(), DualCache()])


@st.composite
def cached_policies(draw: st.DrawFn, chosen: st.SearchStrategy[Any] | None = None) -> dict[str, Any]:
    """Components of every allowed cached policy, for `toy_policy`; `chosen` draws the selector."""
    scheduler = draw(st.one_of(fixed, sliding()))
    caches = dsb_caches if isinstance(scheduler, SlidingBlock) else st.one_of(dsb_caches, block_caches)
    given = {"block_scheduler": scheduler, "cache_policy": draw(caches)}
    if draw(st.booleans()):
        given["context_window"] = draw(windows)
    return {**given, "unmask_selector": draw(chosen if chosen is not None else st.one_of(selectors, decays))}


def section(one: Combination, at: int = 0, **options: Any) -> dict[str, Any]:
    """The section `decode` of a combination with the parameters above, each component's number `at` or its last."""
    named = one.section(**options)
    for slot, value in named.items():
        if isinstance(value, dict) and "name" in value:
            known = PARAMETERS.get(value["name"], [{}])
            named[slot] = {**known[min(at, len(known) - 1)], **value}
    return named


def policy_of(decode: dict[str, Any]) -> Policy:
    """Read a section `decode` as part of a recipe, and take its components."""
    s = load_recipe({"decode": decode}, (), PLUGINS).decode
    return Policy(s.block_scheduler, s.context_window, s.cache_policy, s.unmask_selector, s.stop_rules)


def check_steps(
    steps: Sequence[StepRecord], prompts: Sequence[Sequence[int]], gen_length: int, shift: int, released: bool = False
) -> None:
    """Sets nest, nothing but masks is committed, and no key is read that belongs to another token than the one there."""
    for index, prompt in enumerate(prompts):
        tokens = [*prompt, *[steps[0].mask_id] * gen_length]
        stored: dict[int, int] = {}  # position -> the token its keys were computed from
        waiting = set(range(len(prompt), len(tokens)))
        for step in (s for s in steps if s.row == index):
            sets = (step.chosen, step.eligible, step.query, step.visible)
            chosen, eligible, query, visible = (set(s.tolist()) for s in sets)
            assert chosen <= eligible <= query <= visible <= set(range(len(tokens)))
            assert eligible <= waiting
            assert {p - shift for p in eligible} <= query
            assert chosen or released
            stored = {p: tokens[p] for p in query} | {p: t for p, t in stored.items() if p in visible - query}
            assert stored == {p: tokens[p] for p in visible}
            waiting -= chosen
            tokens = step.canvas.tolist()
        assert tokens[: len(prompt)] == list(prompt) or released


def check_complete(rows: Sequence[Row], mask_id: int) -> None:
    """No generated position is left masked."""
    for row in rows:
        assert row.finished
        assert mask_id not in row.canvas[row.prompt_length :]


@dataclass(frozen=True)
class Recording:
    """A selector that keeps what it was shown; `more` are signals it asks for on top. For batches of one row."""

    selector: Any
    more: dict[str, Any] = field(default_factory=dict)
    seen: list[Proposal] = field(default_factory=list)

    @property
    def signals(self) -> Signals:
        return replace(self.selector.signals, **self.more)

    def begin(self, row: Row) -> Selection:
        return self.selector.begin(row)

    def select(self, proposal: Proposal) -> torch.Tensor:
        self.seen.append(proposal)
        return self.selector.select(proposal)


@dataclass(frozen=True)
class Refreshed:
    """A cache that is refreshed at every step; `said` says so to other components."""

    cache: Any = None
    said: bool = True
    reads_cache: ClassVar[bool] = True

    def begin(self, row: Row) -> _Refreshed:
        return _Refreshed(self.cache.begin(row) if self.cache is not None else None, self.said)


class _Refreshed:
    def __init__(self, cache: Any, said: bool) -> None:
        self.cache, self.said = cache, said

    def refresh_due(self, row: Row) -> bool:
        if self.cache is not None:
            self.cache.refresh_due(row)
        return self.said or row.step == 0

    def query(self, row: Row) -> np.ndarray:
        return self.cache.query(row) if self.cache is not None else row.visible


@dataclass(frozen=True)
class WithSources:
    """A cache that also recomputes the positions before the masks of the block, as the engine does for shifted models."""

    cache: Any

    @property
    def reads_cache(self) -> bool:
        return self.cache.reads_cache

    def begin(self, row: Row) -> _WithSources:
        return _WithSources(self.cache.begin(row))


class _WithSources:
    def __init__(self, cache: Any) -> None:
        self.cache, self.refresh_due = cache, cache.refresh_due

    def query(self, row: Row) -> np.ndarray:
        return np.union1d(self.cache.query(row), row.masks(row.block.start, row.block.stop) - 1)
