"""Forwards over cached keys, and what the memory keeps of them, against a plain recomputation (spec §2.5, §7.2, §7.11)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
import torch
from decoding import outcome, outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import Recording, cached_policies
from plain import replay

from dllmkit.memory import Memory
from dllmkit.proposal import Proposal, ranks
from dllmkit.signals import Attention, Signals
from dllmkit.state import Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.eos import Eos
from dllmkit_dawn.dawn import Dawn
from dllmkit_klass.klass import Klass

model_of = cache(lambda shift: toy_model(23, shift=shift, width=16, heads=4, kv_heads=2))
near = {"abs": 1e-5}  # transformers' RMSNorm and RoPE go through float32
dawns = st.builds(
    Dawn, tau_high=st.sampled_from([0.4, 0.8]), tau_induce=st.just(0.3), tau_low=st.just(0.2), tau_sink=st.just(0.15),
    layers=st.integers(1, 2),
)  # fmt: skip


@settings(max_examples=50)
@given(
    prompts(most=1), cached_policies(dawns), st.integers(1, 14), st.sampled_from([0, 1]), st.booleans(), st.booleans()
)
def test_what_dawn_is_shown_is_what_the_definition_says(asked, components, gen_length, shift, full, released):
    model, dawn = model_of(shift), components["unmask_selector"]
    layers = tuple(range(-dawn.layers, 0))
    probe = Recording(dawn, {"attention": Attention(layers, of="query", mean=True)} if full else {})
    if full:  # every row is shown; DAWN itself reads those of the eligible positions
        probe = Recording(Klass(tau=0.3, kl=1.0), {"observed": True, "attention": probe.more["attention"]})
    policy = toy_policy(**{**components, "unmask_selector": probe})
    _, steps = toy_decode(model, asked, policy, gen_length=gen_length, as_released=released)
    assert len(probe.seen) == len(steps)
    plain = replay(model, steps, asked[0], layers, released)
    for step, shown, seen in zip(steps, probe.seen, plain, strict=True):
        columns = {p: i for i, p in enumerate(shown.keys.positions[0].tolist()) if p >= 0}
        assert set(columns) == set(step.visible.tolist())
        mean, observed = shown.attention_mean[0], shown.observed[0]
        assert {p: mean[i].item() for p, i in columns.items()} == pytest.approx(seen.mean, **near)
        known = {p: c for p, c in seen.confidence.items() if p in columns}
        assert {p: observed[i].item() for p, i in columns.items() if p in known} == pytest.approx(known, **near)
        assert all(observed[i].isnan() for p, i in columns.items() if p not in known)
        committed = {p for p, i in columns.items() if shown.keys.committed[0, i]}
        assert committed - set(known) <= ({0} if shift else set())
        for row, at in zip(shown.attention[0], shown.attention_queries[0].tolist(), strict=True):
            assert {p: row[i].item() for p, i in columns.items()} == pytest.approx(seen.attention[at], **near)
        confidence = dict(zip(shown.positions[0].tolist(), shown.confidence[0].tolist(), strict=True))
        expected = {p: seen.probability[max(p - shift, 0)][:-1].max().item() for p in confidence}
        assert confidence == pytest.approx(expected, **near)


@settings(max_examples=50)
@given(
    prompts(most=1),
    cached_policies(st.builds(Klass, st.just(0.5), st.just(0.2), st.integers(1, 3))),
    st.integers(1, 14),
    st.sampled_from([0, 1]),
)
def test_klass_is_shown_divergences_between_consecutive_steps(asked, components, gen_length, shift):
    n = components["unmask_selector"].history
    probe = Recording(components["unmask_selector"], {"distribution": True})
    policy = toy_policy(**{**components, "unmask_selector": probe})
    toy_decode(model_of(shift), asked, policy, gen_length=gen_length)
    before: dict[int, torch.Tensor] = {}
    history: dict[int, list[float]] = {}
    for shown in probe.seen:
        now = dict(zip(shown.positions[0].tolist(), shown.distribution[0], strict=True))
        history = {
            p: [*history[p], (q * ((q + 1e-12).log() - (before[p] + 1e-12).log())).sum().item()] if p in before else []
            for p, q in now.items()
        }
        before = now
        for p, shown_here in zip(shown.positions[0].tolist(), shown.change[0].tolist(), strict=True):
            assert shown_here == pytest.approx(([float("inf")] * n + history[p])[-n:], abs=1e-9)


@dataclass(frozen=True)
class Sensitive:
    """Commits one to three masks, by a number that everything in the memory enters."""

    signals: ClassVar[Signals] = Signals(observed=True, change=2, attention=Attention((-1,), mean=True))

    def begin(self, row: Row) -> Sensitive:
        return self

    patience: ClassVar[int] = 0

    def inputs(self, row: Row) -> tuple[()]:
        return ()

    def select(self, proposal: Proposal) -> torch.Tensor:
        place = proposal.keys.positions + 2
        parts = (proposal.observed.nan_to_num(0.0) * place, proposal.attention_mean * place, proposal.change.sum(dim=2))
        parts = [part.masked_fill(part.isinf() | part.isnan(), 0.5).masked_fill_(pad, 0.0) for part, pad in zip(
            parts, (place < 2, place < 2, ~proposal.eligible), strict=True)]  # fmt: skip
        count = 1 + (1000 * sum(part.sum(dim=1) for part in parts)).long() % 3
        return (ranks(proposal.confidence) < count[:, None]) & proposal.eligible


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=3, max_size=5),
    cached_policies(st.just(Sensitive())),
    st.integers(6, 12),
    st.sampled_from([0, 1]),
)
def test_rows_keep_their_memory_when_places_change(asked, components, gen_length, shift):
    model, policy = model_of(shift), toy_policy(**components, stop_rules=(Eos(token_ids=tuple(range(0, 22, 3))),))
    alone = [outcome(toy_decode(model, [p], policy, gen_length=gen_length)[0][0]) for p in asked]
    rows, _ = toy_decode(model, asked, policy, gen_length=gen_length, batch_size=2)
    assert outcomes(rows) == alone


@settings(max_examples=100)
@given(st.integers(0, 10_000))
def test_attention_means_are_over_the_rows_last_computed(seed):
    """Sets of visible positions that come and go, in two rows with padding: no plugin does this, the memory may not care."""
    random = np.random.default_rng(seed)
    memory = Memory(Signals(attention=Attention((0,), mean=True)), 3, 8, True, torch.device("cpu"), torch.float64)
    last: list[dict[int, dict[int, float]]] = [{}, {}]
    for _ in range(5):
        keys, queries, weights = np.full((2, 9), -1), np.full((2, 9), -1), np.zeros((2, 9, 9))
        for r in range(2):
            visible = random.permutation(8)[: random.integers(1, 9)]
            keys[r, random.permutation(9)[: len(visible)]] = visible
            query = [p for p in sorted(visible) if p not in last[r] or random.random() < 0.5]
            queries[r, : len(query)] = query
            for i, q in enumerate(query):
                weights[r, i] = random.random(9) * (keys[r] >= 0)
                last[r][q] = {int(k): weights[r, i, c] for c, k in enumerate(keys[r]) if k >= 0}
            last[r] = {q: row for q, row in last[r].items() if q in visible}  # out of sight, a row is computed anew
        at = torch.tensor([2, 0])  # places in the memory
        mean = memory.attention_mean(at, *(torch.from_numpy(x) for x in (queries, keys, weights)))
        for r in range(2):
            seen = [k for k in keys[r].tolist() if k >= 0]
            expected = [sum(last[r][q].get(k, 0.0) for q in seen) / len(seen) for k in seen]
            assert mean[r, keys[r] >= 0].tolist() == pytest.approx(expected)
