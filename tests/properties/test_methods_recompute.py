"""Where nothing is approximated, nothing may change: caches that recompute all, windows that see all (spec P1, P3, P12)."""

from __future__ import annotations

from functools import cache

from decoding import outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import (
    Refreshed,
    block_caches,
    cached_policies,
    check_steps,
    decays,
    fixed,
    selectors,
    sliding,
    windows,
)

from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.full import Full
from dllmkit_baseline.no_cache import NoCache
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_streaming.suffix_window import SuffixWindow

model_of = cache(lambda shift: toy_model(29, shift=shift, width=16, heads=4, kv_heads=2))
gen_lengths = st.integers(1, 16)
shifts = st.sampled_from([0, 1])
every_selector = st.one_of(selectors, decays)
few = settings(max_examples=50)


def same(model, asked, gen_length, one, other, **options):
    """Two policies, given as components, agree in tokens, forwards, their sizes and the step of each commit."""
    found = [
        outcomes(toy_decode(model, asked, toy_policy(**p), gen_length=gen_length, batch_size=2, **options)[0])
        for p in (one, other)
    ]
    assert found[0] == found[1]


@few
@given(prompts(most=2), cached_policies(), gen_lengths, shifts, st.booleans())
def test_a_cache_refreshed_at_every_step_is_no_cache(asked, components, gen_length, shift, released):  # P1, P12
    refreshed = {**components, "cache_policy": Refreshed(components["cache_policy"])}
    plain = {**components, "cache_policy": NoCache()}
    same(model_of(shift), asked, gen_length, refreshed, plain, as_released=released)


@few
@given(
    prompts(most=2), st.one_of(fixed, sliding()), every_selector, st.none() | windows, gen_lengths, shifts, st.booleans()
)  # fmt: skip
def test_everything_recomputed_without_a_refresh_is_no_cache(  # P12: R = V at each step, but the store goes on
    asked, scheduler, selector, window, gen_length, shift, released
):
    context = SuffixWindow(window.window, window.keep_last, "follow") if window else Full()
    plain = {"block_scheduler": scheduler, "unmask_selector": selector, "context_window": context}
    stored = {**plain, "cache_policy": Refreshed(said=False)}
    same(model_of(shift), asked, gen_length, stored, plain, as_released=released)


@few
@given(
    prompts(most=2), st.one_of(fixed, sliding()), every_selector, st.none() | windows, gen_lengths, shifts, st.booleans(),
    st.integers(0, 5),
)  # fmt: skip
def test_dsb_cache_refreshed_after_every_commit_is_no_cache(  # P1
    asked, scheduler, selector, window, gen_length, shift, released, before
):
    idle = released and isinstance(selector, DreamSchedule)  # steps that commit nothing need no refresh
    plain = {"block_scheduler": scheduler, "unmask_selector": selector, "context_window": window or Full()}
    stored = {**plain, "cache_policy": DsbCache(before, refresh_every_commits=1)}
    released = released and not shift and not idle  # a shifted model's refresh commits one token as released
    same(model_of(shift), asked, gen_length, stored, plain, as_released=released)


@few
@given(prompts(most=2), st.one_of(fixed, sliding()), every_selector, st.none() | windows, gen_lengths, shifts)
def test_dsb_cache_with_windows_over_everything_is_no_cache(  # P1: nothing is refreshed, all is recomputed
    asked, scheduler, selector, window, gen_length, shift
):
    context = SuffixWindow(window.window, window.keep_last, "follow") if window else Full()
    plain = {"block_scheduler": scheduler, "unmask_selector": selector, "context_window": context}
    stored = {**plain, "cache_policy": DsbCache(40, 40, refresh_every_commits=1000)}
    same(model_of(shift), asked, gen_length, stored, plain)


@few
@given(
    prompts(most=2), cached_policies(), st.booleans(), gen_lengths, st.integers(0, 3), st.integers(0, 3), shifts,
    st.booleans(), st.sampled_from(["frozen", "follow"]),
)  # fmt: skip
def test_a_window_over_everything_is_full_context(  # P3
    asked, components, cached, gen_length, more, keep_last, shift, released, horizon
):
    policy = {**components, "context_window": Full()}
    if not cached:
        policy["cache_policy"] = NoCache()
    windowed = {**policy, "context_window": SuffixWindow(gen_length + more, keep_last, horizon)}
    same(model_of(shift), asked, gen_length, windowed, policy, as_released=released)


@few
@given(prompts(most=2), block_caches, every_selector, st.none() | windows, gen_lengths, shifts)
def test_blocks_of_one_are_always_refreshed(
    asked, cached, selector, window, gen_length, shift
):  # P1, with no test cache
    plain = {"block_scheduler": FixedBlocks(1), "unmask_selector": selector, "context_window": window or Full()}
    same(model_of(shift), asked, gen_length, {**plain, "cache_policy": cached}, plain)


@few
@given(
    prompts(most=2), fixed, block_caches, every_selector, st.none() | windows, gen_lengths, shifts, st.booleans()
)  # fmt: skip
def test_block_caches_recompute_what_they_say(  # §2.2, §2.3
    asked, scheduler, cached, selector, window, gen_length, shift, released
):
    policy = toy_policy(
        block_scheduler=scheduler, cache_policy=cached, unmask_selector=selector, context_window=window or Full()
    )
    _, steps = toy_decode(model_of(shift), asked, policy, gen_length=gen_length, as_released=released)
    check_steps(steps, asked, gen_length, shift, released)
    for index in range(len(asked)):
        block, held = None, set()
        for step in (s for s in steps if s.row == index):
            assert step.refresh == (step.block != block)
            block, visible = step.block, set(step.visible.tolist())
            stop = step.block[1] if isinstance(cached, DualCache) else len(step.canvas)
            expected = {p for p in visible if step.refresh or step.block[0] <= p < stop}
            expected |= {p - shift for p in step.eligible.tolist()}
            expected |= visible - held  # nothing is stored of what was not visible
            expected |= {0} if released and isinstance(selector, Dawn) else set()
            assert set(step.query.tolist()) == expected
            held = visible
