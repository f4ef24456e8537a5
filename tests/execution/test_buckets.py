"""Forwards padded to buckets, on buffers that stay: same tokens and forwards as eager ones, and little waste."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from decoding import outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import cached_policies, decays, fixed, selectors, sliding, windows

from dllmkit.execution.graphs import Graphed
from dllmkit.plan import WASTE
from dllmkit.sampling import Categorical, Gumbel
from dllmkit.sizing import BUCKETS, DYNAMIC, bucket
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_fast_dllm.dual_cache import DualCache

model_of = cache(lambda shift: toy_model(5, shift=shift, layers=2, width=16, heads=2, kv_heads=1))


@dataclass
class Uncompiled:
    """Stands in for the compiled step, so that many cases can be tried."""

    sizing = BUCKETS
    preparing = 0.0

    def compiled(self, step):
        return step


def buckets():
    return Graphed(Uncompiled())


@st.composite
def policies(draw):
    if draw(st.booleans()):
        return toy_policy(**draw(cached_policies()))
    given = {
        "block_scheduler": draw(st.one_of(fixed, sliding())),
        "unmask_selector": draw(st.one_of(selectors, decays)),
    }
    return toy_policy(**given, **({"context_window": draw(windows)} if draw(st.booleans()) else {}))


@settings(max_examples=150)
@given(prompts(most=5), policies(), st.integers(1, 20), st.integers(1, 5), st.sampled_from([0, 1]), st.booleans())
def test_padding_changes_nothing(asked, policy, gen_length, batch_size, shift, released):
    model, options = model_of(shift), {"gen_length": gen_length, "as_released": released}
    plain, _ = toy_decode(model, asked, policy, **options)
    padded, _ = toy_decode(model, asked, policy, batch_size=batch_size, execution=buckets(), **options)
    assert outcomes(padded) == outcomes(plain)


@pytest.mark.parametrize("sampler", [Gumbel(0.7), Categorical(0.8), Categorical(1.2, top_p=0.9, top_k=5, mask_id=23)])
@settings(max_examples=15)
@given(asked=prompts(most=4), selector=selectors)
def test_sampling_draws_the_same(sampler, asked, selector):
    model, policy = model_of(0), toy_policy(unmask_selector=selector)
    plain, _ = toy_decode(model, asked, policy, sampler=sampler)
    padded, _ = toy_decode(model, asked, policy, sampler=sampler, batch_size=3, execution=buckets())
    assert outcomes(padded) == outcomes(plain)


@given(st.integers(1, 100_000))
def test_a_bucket_wastes_less_than_a_quarter(n):
    assert n <= bucket(n)
    assert bucket(n) < 1.25 * n or n == 1
    assert bucket(bucket(n)) == bucket(n)


def test_buckets_are_few():
    assert len({bucket(n) for n in range(1, 4097)}) == 43  # four to the octave


@pytest.mark.parametrize("sizing", [BUCKETS, DYNAMIC])
@given(asked=prompts(most=9, longest=40), cached=st.booleans())
@settings(max_examples=30)
def test_query_tokens_of_a_forward_are_at_most_a_quarter_more_than_needed(sizing, asked, cached):
    policy = toy_policy(**({"cache_policy": DualCache()} if cached else {}))
    seen = []

    class Watching:
        preparing = 0.0

        def __init__(self):
            self.sizing = sizing

        def start(self, step, noise, kv, memory):
            from dllmkit.inputs import prepare

            def run(plan, phase):
                seen.append((plan.tables["tokens"].size, sum(len(lane.row.query) for lane in plan.lanes)))
                return step(prepare(plan, kv, memory, noise(plan)))

            return run

    toy_decode(model_of(0), asked, policy, gen_length=9, batch_size=4, execution=Watching())
    assert all(padded <= max(WASTE * needed, 2) for padded, needed in seen)


def test_captures_are_reused():
    model, policy = model_of(0), toy_policy(cache_policy=DualCache())
    execution = buckets()
    rows, steps = toy_decode(model, [[1, 2, 3]] * 4, policy, gen_length=32, execution=execution)
    assert 0 < execution.captured < len(steps) / 4
    again = execution.captured
    assert [row.nfe for row in rows] == [rows[0].nfe] * 4
    toy_decode(model, [[1, 2, 3]], policy, gen_length=32, execution=execution)
    assert execution.captured > again  # another decode has another store


def test_padding_rows_write_nothing_that_is_read():
    """Five rows go in a bucket of six places at the most; a row of padding is the neighbour of live ones."""
    model, policy = model_of(0), toy_policy(cache_policy=DualCache())
    asked = [[i + 1] * (i + 2) for i in range(9)]
    plain, _ = toy_decode(model, asked, policy, gen_length=16)
    padded, _ = toy_decode(model, asked, policy, gen_length=16, batch_size=9, execution=buckets())
    assert outcomes(padded) == outcomes(plain)
