"""The pruned suffix and the threshold that relaxes, against transcriptions of their rules (spec P3, P4, §3.1, §7.5, §7.6)."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from decoding import outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import Recording, cached_policies, decays, windows

from dllmkit.state import Block
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.no_cache import NoCache
from dllmkit_baseline.threshold import Threshold
from dllmkit_streaming.dynamic_threshold import DynamicThreshold
from dllmkit_streaming.suffix_window import SuffixWindow

model_of = cache(lambda shift: toy_model(31, shift=shift, width=16, heads=4, kv_heads=2))
few = settings(max_examples=60)


def seen_behind(stop: int, length: int, window: int, keep_last: int) -> set[int]:
    """suffix(e) of spec §3.1, `keep_last` positions at the end instead of one."""
    tail = list(range(stop, length))
    if len(tail) <= window:
        return set(tail)
    return set(tail[:window] + tail[len(tail) - min(keep_last, len(tail) - window) :] if keep_last else tail[:window])


@given(
    st.integers(1, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 4), st.data()
)  # fmt: skip
def test_the_rule_and_that_more_is_more(stop, behind, window, more, keep_last, data):
    length = stop + behind
    start = data.draw(st.integers(0, stop - 1))
    row = SimpleNamespace(block=Block(start, stop), length=length, refresh=True)
    seen = [set(SuffixWindow(w, keep_last).begin(row)(row).tolist()) for w in (window, window + more)]
    assert seen[0] == set(range(stop)) | seen_behind(stop, length, window, keep_last)
    assert seen[0] <= seen[1]
    if window >= behind:
        assert seen[0] == set(range(length))


@few
@given(prompts(most=2), cached_policies(), st.booleans(), windows, st.integers(1, 16), st.sampled_from([0, 1]))
def test_the_window_moves_at_refreshes_or_with_the_block(asked, components, cached, window, gen_length, shift):
    policy = {**components, "context_window": window}
    if not cached:
        policy["cache_policy"] = NoCache()
    _, steps = toy_decode(model_of(shift), asked, toy_policy(**policy), gen_length=gen_length)
    for index, prompt in enumerate(asked):
        length, horizon = len(prompt) + gen_length, 0
        for step in (s for s in steps if s.row == index):
            stop = step.block[1]
            if step.refresh or window.horizon == "follow":
                horizon = stop + window.window
            near = max(stop, horizon)
            expected = set(range(min(near, length))) | seen_behind(max(stop, horizon), length, 0, window.keep_last)
            assert set(step.visible.tolist()) == expected


@few
@given(
    prompts(most=2), cached_policies(), st.sampled_from([0.0, 0.4, 0.9, 1.0]), st.integers(1, 16), st.sampled_from([0, 1]),
    st.booleans(), st.sampled_from(["auto", "query", "window"]),
)  # fmt: skip
def test_without_decay_it_is_a_threshold(asked, components, tau, gen_length, shift, released, scope):  # P4
    one, other = (
        toy_decode(
            model_of(shift), asked, toy_policy(**{**components, "unmask_selector": selector}), gen_length=gen_length,
            as_released=released, batch_size=2,
        )[0]
        for selector in (DynamicThreshold(tau, 0.0, scope), Threshold(tau))
    )  # fmt: skip
    assert outcomes(one) == outcomes(other)


@settings(max_examples=100)
@given(
    prompts(most=1), cached_policies(decays), st.booleans(), st.integers(1, 16), st.sampled_from([0, 1]), st.booleans()
)  # fmt: skip
def test_the_threshold_of_each_step(asked, components, cached, gen_length, shift, released):  # P4
    p = components["unmask_selector"]
    probe = Recording(p)
    policy = {**components, "unmask_selector": probe} | ({} if cached else {"cache_policy": NoCache()})
    _, steps = toy_decode(model_of(shift), asked, toy_policy(**policy), gen_length=gen_length, as_released=released)
    slides = not isinstance(components["block_scheduler"], FixedBlocks)
    committed = np.arange(len(asked[0]) + gen_length) < len(asked[0])
    last: tuple[int, int] | None = None
    taus: list[float] = []
    for step, shown in zip(steps, probe.seen, strict=True):
        start, stop = step.block
        scope = [q for q in step.visible if q >= start]
        if p.scope == "window" or (p.scope == "auto" and slides):
            scope = list(range(start, stop))
        r = sum(not committed[q] for q in scope) / len(scope)
        first = last is None if slides else step.block != last
        tau = shown.inputs[0, 0].item()
        assert tau == pytest.approx(p.tau if released and first else max(p.tau_min, p.tau * (1 - p.alpha * (1 - r))))
        if r == 1:
            assert tau == max(p.tau, p.tau_min) or (released and tau == p.tau)
        assert tau >= p.tau * (1 - p.alpha) - 1e-12
        if not first and not slides and not cached:
            assert tau <= taus[-1] + 1e-12 or (released and p.tau_min > p.tau)
        if not slides and not cached:
            assert (step.block == last) or r == 1  # a new block of nothing but masks
        taus, last = [*taus, tau], step.block
        committed[step.chosen] = True
        high = shown.confidence[0] >= tau
        assert set(step.chosen.tolist()) >= set(shown.positions[0][high].tolist())
