"""Forwards over cached keys, and what the memory keeps of them, against a plain recomputation (spec §2.5, §7.2, §7.11)."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from decoding import prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import Recording, cached_policies
from plain import replay

from dllmkit.signals import Attention
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
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
