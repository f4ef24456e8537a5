"""The sliding block and its cache (spec P5, P6, P7, P8, §4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from decoding import outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import cached_policies, check_steps, decays, dsb_caches, fixed, selectors, sliding, windows

from dllmkit.state import Block, Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.full import Full
from dllmkit_baseline.no_cache import NoCache
from dllmkit_baseline.quota import Quota, quota_until
from dllmkit_dsb.sliding_block import SlidingBlock

model_of = cache(lambda shift: toy_model(37, shift=shift, width=16, heads=4, kv_heads=2))
few_words = cache(lambda shift: toy_model(37, shift=shift, width=16, heads=4, kv_heads=2, vocabulary=4, sharpness=3.0))
shifts = st.sampled_from([0, 1])
few = settings(max_examples=60)


@few
@given(prompts(most=2), sliding(), cached_policies(), st.booleans(), st.integers(1, 20), shifts, st.booleans())
def test_the_block_follows_the_commits(asked, scheduler, components, cached, gen_length, shift, released):  # P5
    policy = {**components, "block_scheduler": scheduler}
    if not cached or not hasattr(components["cache_policy"], "prefix_window"):
        policy["cache_policy"] = NoCache()
    _, steps = toy_decode(model_of(shift), asked, toy_policy(**policy), gen_length=gen_length, as_released=released)
    length, most = scheduler.block_length, scheduler.max_block_length
    narrows = released and shift == 1
    for index, prompt in enumerate(asked):
        end, before = len(prompt) + gen_length, (0, 0)
        masked = np.arange(end) >= len(prompt)
        for step in (s for s in steps if s.row == index):
            start, stop = step.block
            committed = gen_length - int(masked.sum())
            assert start == int(np.flatnonzero(masked)[0])
            assert stop == min(len(prompt) + length + committed, end, start + (most or end))
            assert before[0] <= start < stop
            assert before[1] <= stop <= end
            inside = int(masked[start:stop].sum())
            assert inside == min(length, int(masked.sum())) if most is None else inside <= length
            if most == length:
                assert stop - start == min(length, end - start)
            assert len(step.eligible) == inside or (narrows and step.refresh and len(step.eligible) == 1)
            before = (start, stop)
            masked[step.chosen] = False


@few
@given(
    prompts(most=2), selectors, st.integers(1, 16), st.integers(0, 5), st.none() | st.integers(0, 4), shifts, st.booleans()
)  # fmt: skip
def test_a_block_over_everything_is_one_fixed_block(asked, selector, gen_length, more, slack, shift, released):  # P6
    length = gen_length + more
    wide = SlidingBlock(length, None if slack is None else length + slack)
    decoded = [
        toy_decode(
            model_of(shift), asked, toy_policy(block_scheduler=scheduler, unmask_selector=selector),
            gen_length=gen_length, as_released=released, batch_size=2,
        )[0]
        for scheduler in (wide, FixedBlocks(gen_length))
    ]  # fmt: skip
    assert outcomes(decoded[0]) == outcomes(decoded[1])


@few
@given(prompts(most=2), st.one_of(selectors, decays), st.integers(1, 12), st.none() | st.integers(1, 3), shifts)
def test_a_block_of_one_goes_left_to_right(asked, selector, gen_length, most, shift):  # P6
    decoded = [
        toy_decode(
            model_of(shift),
            asked,
            toy_policy(block_scheduler=scheduler, unmask_selector=selector),
            gen_length=gen_length,
        )[0]
        for scheduler in (SlidingBlock(1, most), FixedBlocks(1))
    ]
    assert outcomes(decoded[0]) == outcomes(decoded[1])
    assert all(row.commit_step.tolist() == list(range(gen_length)) for row in decoded[0])


@dataclass(frozen=True)
class Snapped:
    """A sliding block that stays where it is until all of it is committed."""

    sliding: SlidingBlock

    def begin(self, row: Row) -> _Snapped:
        return _Snapped(self.sliding.begin(row))


class _Snapped:
    def __init__(self, slide) -> None:
        self.slide, self.block = slide, Block(0, 0)

    def __call__(self, row: Row) -> Block:
        if row.first_mask >= self.block.stop:
            now = self.slide(row)
            self.block = Block(now.start, now.stop)
        return self.block


@few
@given(prompts(most=2), cached_policies(), st.integers(1, 6), st.integers(1, 16), shifts, st.booleans())
def test_a_sliding_block_that_snaps_is_a_fixed_one(asked, components, length, gen_length, shift, released):  # P7
    decoded = [
        toy_decode(
            model_of(shift), asked, toy_policy(**{**components, "block_scheduler": scheduler}), gen_length=gen_length,
            as_released=released,
        )[0]
        for scheduler in (Snapped(SlidingBlock(length)), FixedBlocks(length))
    ]  # fmt: skip
    assert outcomes(decoded[0]) == outcomes(decoded[1])


@settings(max_examples=100)
@given(
    prompts(most=2), st.one_of(fixed, sliding(), sliding()), dsb_caches, st.one_of(selectors, decays),
    st.integers(1, 20), shifts, st.booleans(),
)  # fmt: skip
def test_dsb_cache_recomputes_what_was_committed(  # P8
    asked, scheduler, cached, selector, gen_length, shift, released
):
    policy = toy_policy(block_scheduler=scheduler, cache_policy=cached, unmask_selector=selector)
    _, steps = toy_decode(model_of(shift), asked, policy, gen_length=gen_length, as_released=released)
    check_steps(steps, asked, gen_length, shift, released)  # every key that is read was written, for the token there
    every = cached.refresh_every_commits or min(scheduler.block_length, gen_length)
    for index, prompt in enumerate(asked):
        chosen: np.ndarray = np.empty(0, dtype=int)
        since, start = every, 0
        for step in (s for s in steps if s.row == index):
            assert step.refresh == (since >= every)  # fewer than `every` commits at each step that is no refresh
            advance, (start, stop) = step.block[0] - start, step.block
            assert set(chosen.tolist()) <= set(step.query.tolist())
            if step.refresh:
                since = 0
                assert step.query.tolist() == step.visible.tolist()
            else:
                first = max(0, start - max(advance, cached.prefix_window))
                expected = set(range(first, min(stop + cached.suffix_window, len(prompt) + gen_length)))
                expected |= {p - shift for p in step.eligible.tolist()}
                extra = {0} if released and hasattr(selector, "tau_edge") else set()  # DAWN's overrun
                assert set(step.query.tolist()) == expected | extra
            chosen, since = step.chosen, since + len(step.chosen)


@pytest.mark.parametrize("steps", [1, 4, 7, 16, 40])
@pytest.mark.parametrize("length", [1, 3, 5, 16])
@pytest.mark.parametrize("kind", ["quota", "dream_schedule"])
def test_schedules_run_over_the_whole_generation(kind, steps, length):  # §7.11
    """What a step may not commit because too few masks are eligible is left to the next; the sum of quotas is met."""
    selector = Quota(steps) if kind == "quota" else DreamSchedule(steps)
    policy = toy_policy(block_scheduler=SlidingBlock(length), unmask_selector=selector)
    _, records = toy_decode(model_of(0), [[1, 2, 3]], policy, gen_length=16)
    times, left = torch.linspace(1, 1e-3, steps + 1), 16
    for j, step in enumerate(records):
        due = quota_until(j + 1, 16, steps) - (16 - left)
        if kind == "dream_schedule":
            due = left if j >= steps - 1 else int(left * (1 - times[j + 1] / times[j]))
        assert len(step.chosen) == min(max(1, due), len(step.eligible))
        left -= len(step.chosen)
    assert left == 0


@few
@given(
    prompts(vocabulary=4, most=2), st.integers(2, 12), st.booleans(), st.none() | dsb_caches,
    st.none() | windows, st.one_of(selectors, decays), st.integers(4, 20), shifts, st.booleans(),
)  # fmt: skip
def test_a_block_that_ends_at_an_end_token(  # §7.8: where the block shrinks, keys of what was committed are not stale
    asked, length, capped, cached, window, selector, gen_length, shift, released
):
    model = few_words(shift)
    (end,) = model.architecture.special.eos_ids
    policy = toy_policy(
        block_scheduler=SlidingBlock(length, length if capped else None, eos_freeze=True), cache_policy=cached or NoCache(),
        context_window=window or Full(), unmask_selector=selector,
    )  # fmt: skip
    _, steps = toy_decode(model, asked, policy, gen_length=gen_length, as_released=released)
    check_steps(steps, asked, gen_length, shift, released)
    for index, prompt in enumerate(asked):
        ends: list[int] = []
        for step in (s for s in steps if s.row == index):
            if before := [p for p in ends if p > step.eligible[0]]:
                assert step.eligible[-1] < min(before)
            ends = [p for p in range(len(prompt), len(step.canvas)) if step.canvas[p] == end]
