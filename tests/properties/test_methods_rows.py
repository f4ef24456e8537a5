"""Batches of every method (spec P19), and the thresholds DAWN is compared with (spec P15)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from decoding import outcome, outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import cached_policies, check_complete, check_steps, fixed, selectors, sliding

from dllmkit.proposal import Proposal
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.quota import Quota
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_fast_dllm.prefix_cache import PrefixCache
from dllmkit_klass.klass import Klass
from dllmkit_local_leap.local_leap import LocalLeap

model_of = cache(lambda shift: toy_model(53, shift=shift, width=16, heads=4, kv_heads=2))
shifts = st.sampled_from([0, 1])


@st.composite
def policies(draw: st.DrawFn):
    """Every policy, cached or not, that may end early."""
    policy = draw(cached_policies())
    if draw(st.integers(0, 2)) == 0:
        policy["block_scheduler"] = draw(st.one_of(fixed, sliding()))
        del policy["cache_policy"]
    return {**policy, "stop_rules": draw(st.sampled_from([(), (Eos(token_ids=(2, 3)),)]))}


@settings(max_examples=80)
@given(prompts(most=4), policies(), st.integers(1, 16), shifts, st.booleans(), st.integers(2, 4))
def test_a_batch_is_its_rows(asked, components, gen_length, shift, released, batch_size):  # P19, P18
    model, policy = model_of(shift), toy_policy(**components)
    options = {"gen_length": gen_length, "as_released": released}
    alone = [outcome(toy_decode(model, [p], policy, **options)[0][0]) for p in asked]
    rows, steps = toy_decode(model, asked[::-1], policy, batch_size=batch_size, **options)
    assert outcomes(rows) == alone[::-1]
    check_steps(steps, asked[::-1], gen_length, shift, released)
    check_complete(rows, model.architecture.special.mask_id)


@settings(max_examples=20)
@given(prompts(most=2), cached_policies(), st.integers(1, 16), shifts, st.integers(0, 9), st.floats(0, 0.6))
def test_local_leap_without_a_leap_is_a_threshold(asked, components, gen_length, shift, radius, relaxed):  # P15
    for leap in (LocalLeap(0.6, 0.6, radius), LocalLeap(0.6, relaxed, 0)):
        one, other = (
            toy_decode(
                model_of(shift), asked, toy_policy(**{**components, "unmask_selector": s}), gen_length=gen_length
            )[0]
            for s in (leap, Threshold(0.6))
        )
        assert outcomes(one) == outcomes(other)


def proposal_of(seed: int, n_inputs: int) -> Proposal:
    g = torch.Generator().manual_seed(seed)
    positions = torch.randperm(12, generator=g)[:6].sort().values.repeat(2, 1) + torch.tensor([[0], [5]])
    grid = torch.tensor([0.0, 0.2, 0.5, 0.5, 0.7, 0.9, 1.0], dtype=torch.float64)
    confidence = grid[torch.randint(7, (2, 6), generator=g)]
    positions[1, 4:], confidence[1, 4:] = -1, float("-inf")
    inputs = torch.full((2, n_inputs), 2.0, dtype=torch.float64)
    return Proposal(positions, positions >= 0, torch.zeros_like(positions), confidence, inputs)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.9]), st.sampled_from([0.2, 0.5, 0.7, 0.95]), st.integers(0, 6))
def test_local_leap_is_its_rule(seed, tau, relaxed, radius):  # §9.2
    proposal = proposal_of(seed, 2)
    proposal.inputs[:, 0], proposal.inputs[:, 1] = tau, relaxed
    picked = LocalLeap(tau, relaxed, radius).select(proposal)
    for at, c, got in zip(proposal.positions.tolist(), proposal.confidence.tolist(), picked.tolist(), strict=True):
        anchors = [p for p, x in zip(at, c, strict=True) if p >= 0 and x >= tau]
        for p, x, taken in zip(at, c, got, strict=True):
            near = any(abs(p - a) <= radius for a in anchors)
            assert taken == (p >= 0 and x >= (relaxed if near else tau))


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 1.0]), st.booleans())
def test_klass_with_settled_distributions_is_a_threshold_else_a_quota(seed, tau, settled):  # P15
    proposal = proposal_of(seed, 1)
    change = torch.zeros(2, 6, 1) if settled else torch.full((2, 6, 1), float("inf"))
    picked = Klass(tau=tau, kl=1e9, history=1).select(replace(proposal, change=change))
    above = (proposal.confidence > tau) & proposal.eligible & settled
    quota = Quota().select(proposal)
    for got, threshold, fallback in zip(picked, above, quota, strict=True):
        assert torch.equal(got, threshold if threshold.any() else fallback)


@settings(max_examples=30)
@given(prompts(most=2), fixed, st.sampled_from([PrefixCache(), DualCache()]), selectors, st.integers(1, 16))
def test_a_released_shifted_refresh_commits_the_first_mask(asked, scheduler, cached, selector, gen_length):  # §2.4
    """Unconditionally: also where the selector would have waited, as Dream's schedule may."""
    if isinstance(selector, Dawn):
        selector = DreamSchedule(40)
    policy = toy_policy(block_scheduler=scheduler, cache_policy=cached, unmask_selector=selector)
    _, steps = toy_decode(model_of(1), asked, policy, gen_length=gen_length, as_released=True)
    for step in steps:
        if step.refresh and step.block[1] - step.block[0] > 1:
            assert step.chosen.tolist() == [step.block[0]]


@pytest.mark.parametrize("selector", [DreamSchedule(64), DreamSchedule(64, "confidence"), Quota(64)])
def test_a_released_schedule_waits_where_it_may_and_ends(selector):
    rows, steps = toy_decode(model_of(1), [[1, 2, 3]], toy_policy(unmask_selector=selector), as_released=True)
    idle = [step for step in steps if not len(step.chosen)]
    assert bool(idle) == isinstance(selector, DreamSchedule)
    check_complete(rows, 23)
