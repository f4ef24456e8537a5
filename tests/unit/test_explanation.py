"""Why a step chose what it chose: said on request, and without a change to what is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from decoding import outcomes
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import cached_policies, selectors

from dllmkit import Decoder, StepRecord
from dllmkit.errors import PluginError
from dllmkit.explanation import Explanation
from dllmkit.proposal import Proposal
from dllmkit.result import Result
from dllmkit.signals import Attention, Signals
from dllmkit.state import Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock

MODEL = toy_model(7, width=16, heads=2, kv_heads=1)
DAWN = Dawn(tau_high=0.6, tau_sink=0.08, tau_edge=0.03, tau_induce=0.3, tau_low=0.2, layers=1)
PROMPTS = [[1, 2, 3], [4, 5, 23, 7, 8, 9], [6]]


@settings(max_examples=40)
@given(cached_policies(st.one_of(selectors, st.just(DAWN))))
def test_tokens_and_forwards_do_not_change(components) -> None:
    policy = toy_policy(**components)
    plain, _ = toy_decode(MODEL, PROMPTS, policy, gen_length=12, batch_size=2)
    explained, steps = toy_decode(MODEL, PROMPTS, policy, gen_length=12, batch_size=2, details=True)
    assert outcomes(explained) == outcomes(plain)
    for step in steps:
        assert step.details is not None
        assert len(step.details.tokens) == len(step.details.confidence) == len(step.eligible)
        at = np.searchsorted(step.eligible, step.chosen)
        assert step.details.tokens[at].tolist() == step.tokens.tolist()
        assert step.details.confidence[at].tolist() == step.confidence.tolist()


@pytest.mark.parametrize("cached", [False, True])
def test_dawns_sets_are_its_choice(cached: bool) -> None:
    components = {"block_scheduler": SlidingBlock(6, None), "cache_policy": DsbCache(2)} if cached else {}
    _, steps = toy_decode(
        MODEL, PROMPTS, toy_policy(unmask_selector=DAWN, **components), gen_length=24, batch_size=3, details=True
    )
    met = set()
    for step in steps:
        assert step.details is not None
        sets = {name: set(positions.tolist()) for name, positions in step.details.sets.items()}
        met |= {name for name, positions in sets.items() if positions}
        eligible, visible = set(step.eligible.tolist()), set(step.visible.tolist())
        if not step.forced:
            assert sets["high"] | sets["induced"] | sets["independent"] == set(step.chosen.tolist())
        confidence = dict(zip(step.eligible.tolist(), step.details.confidence.tolist(), strict=True))
        assert sets["high"] == {p for p in eligible if confidence[p] >= 0.6}
        assert sets["independent"] <= sets["candidates"] <= eligible - sets["high"] - sets["induced"] - sets["blocked"]
        assert sets["anchors"] | sets["sinks"] <= visible
        assert sets["anchors"].isdisjoint(eligible)
        edges = step.details.edges["depends"]
        assert set(edges.source.tolist()) <= eligible
        assert set(edges.target.tolist()) <= visible - sets["sinks"]
        assert (edges.weight >= 0.03).all()
        pairs = list(zip(edges.source.tolist(), edges.target.tolist(), strict=True))
        assert pairs == sorted(set(pairs))
        assert not any(a == b for a, b in pairs)
        for a, b in pairs:
            assert not {a, b} <= sets["independent"]
        assert sets["induced"] == {
            p for p in eligible if confidence[p] >= 0.3 and any(a == p and b in sets["anchors"] for a, b in pairs)
        }
    assert met == {"high", "induced", "candidates", "independent", "anchors", "sinks"} | met & {"blocked"}


def test_a_batch_explains_each_row_as_alone() -> None:
    policy = toy_policy(unmask_selector=DAWN)
    _, together = toy_decode(MODEL, PROMPTS, policy, gen_length=12, batch_size=3, details=True)
    for i, prompt in enumerate(PROMPTS):
        _, alone = toy_decode(MODEL, [prompt], policy, gen_length=12, details=True)
        for a, b in zip([step for step in together if step.row == i], alone, strict=True):
            assert a.details is not None
            assert b.details is not None
            assert a.details.confidence == pytest.approx(b.details.confidence)
            assert {n: s.tolist() for n, s in a.details.sets.items()} == {
                n: s.tolist() for n, s in b.details.sets.items()
            }
            assert a.details.edges["depends"].source.tolist() == b.details.edges["depends"].source.tolist()


def test_signals_that_were_measured_are_there() -> None:
    _, (first, *_) = toy_decode(
        MODEL, PROMPTS[:1], toy_policy(unmask_selector=DreamSchedule(4, "margin")), gen_length=12, details=True
    )
    assert first.details is not None
    assert first.details.values.keys() == {"margin"}
    assert (first.details.values["margin"] <= first.details.confidence).all()


@dataclass(frozen=True)
class Odd:
    """A threshold that explains itself with `said`; it counts how often it is asked."""

    said: Explanation
    calls: list[int]
    signals: Signals = field(default_factory=Signals)

    def begin(self, row: Row) -> object:
        return Threshold(0.5).begin(row)

    def select(self, proposal: Proposal) -> torch.Tensor:
        return Threshold(0.5).select(proposal)

    def explain(self, proposal: Proposal) -> Explanation:
        self.calls.append(1)
        return self.said


def test_nobody_is_asked_unless_an_observer_wants_it() -> None:
    selector = Odd(Explanation(), [])
    _, steps = toy_decode(MODEL, PROMPTS, toy_policy(unmask_selector=selector), gen_length=12)
    assert selector.calls == []
    assert all(step.details is None for step in steps)
    toy_decode(MODEL, PROMPTS, toy_policy(unmask_selector=selector), gen_length=12, details=True)
    assert selector.calls


@pytest.mark.parametrize(
    ("said", "signals", "message"),
    [
        (Explanation({"good": torch.zeros(1, 3)}), Signals(), r"explains 'good' with shape \[1, 3\], expected \[1, 8\]"),
        (
            Explanation(visible={"far": torch.zeros(1, 3).bool()}), Signals(attention=Attention((0,))),
            r"explains 'far' with shape \[1, 3\], expected \[1, 15\]",
        ),
        (
            Explanation(visible={"far": torch.zeros(1, 15)}), Signals(attention=Attention((0,))),
            r"explains 'far' with torch.float32, expected torch.bool",
        ),
        (
            Explanation(edges={"arrows": torch.zeros(1, 8, 15)}), Signals(),
            "explains visible positions, but declares no signal that has them",
        ),
    ],
)  # fmt: skip
def test_a_strange_explanation_is_the_plugins_fault(said: Explanation, signals: Signals, message: str) -> None:
    policy = toy_policy(unmask_selector=Odd(said, [], signals))
    with pytest.raises(PluginError, match=rf"unmask_selector test_explanation\.Odd: {message}"):
        toy_decode(MODEL, PROMPTS[:1], policy, gen_length=12, details=True)


def test_an_observer_and_a_stream_can_ask() -> None:
    decoder = Decoder.from_recipe("baseline/tiny", ["decode.gen_length=32"])

    class Asking:
        details = True

        def __init__(self) -> None:
            self.steps: list[StepRecord] = []

        def on_step(self, step: StepRecord) -> None:
            self.steps.append(step)

        def on_result(self, result: Result) -> None: ...

    asking = Asking()
    [explained] = decoder.decode(["Sort: 4 2 9"], observers=[asking])
    [plain] = decoder.decode(["Sort: 4 2 9"])
    assert (explained.tokens, explained.query_lengths) == (plain.tokens, plain.query_lengths)
    assert all(step.details is not None for step in asking.steps)
    assert next(iter(decoder.stream("Sort: 4 2 9"))).details is None
    assert next(iter(decoder.stream("Sort: 4 2 9", details=True))).details is not None
