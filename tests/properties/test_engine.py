"""Properties that hold for every policy: the nesting, batches, shift, the KV store (spec P1, P2, P17, P18, P19)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from decoding import outcome, outcomes, prompts
from hypothesis import given
from hypothesis import strategies as st
from policies import EveryOther, EverythingStored, RandomQuery, RightToLeft, Window

from dllmkit.inputs import StepInputs, prepare
from dllmkit.lane import Lane
from dllmkit.models.model import DiffusionModel
from dllmkit.plan import pack
from dllmkit.sampling import Categorical, Gumbel
from dllmkit.signals import Signals
from dllmkit.state import Request, Row, Span
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.factor import Factor
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.quota import Quota
from dllmkit_baseline.threshold import Threshold

model_of = cache(toy_model)
selectors = st.one_of(
    st.builds(Quota, st.sampled_from([None, 1, 7, 20, 50])),
    st.builds(Threshold, st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    st.builds(Factor, st.sampled_from([0.1, 1.0, 4.0])),
    st.builds(DreamSchedule, st.sampled_from([None, 5, 40]), st.sampled_from(["confidence", "margin", "neg_entropy"])),
)
schedulers = st.one_of(st.builds(FixedBlocks, st.integers(1, 40)), st.builds(RightToLeft), st.builds(EveryOther))
contexts = st.one_of(st.none(), st.builds(Window, st.integers(0, 12)))
caches = st.one_of(
    st.none(), st.builds(RandomQuery, st.integers(0, 9), st.sampled_from([0.0, 0.3]), st.sampled_from([0, 3]))
)


def policy_of(scheduler, context, cached, selector, stop=()):
    given = {"block_scheduler": scheduler, "unmask_selector": selector, "stop_rules": stop}
    if context is not None and not isinstance(scheduler, EveryOther | RightToLeft):  # these look beyond any window
        given["context_window"] = context
    if cached is not None:
        given["cache_policy"] = cached
    return toy_policy(**given)


policies = st.builds(
    policy_of, schedulers, contexts, caches, selectors, st.sampled_from([(), (Eos(),), (Eos("block_end"),)])
)


@given(prompts(), policies, st.integers(1, 30), st.sampled_from([0, 1]), st.booleans())
def test_sets_nest_and_every_row_ends(asked, policy, gen_length, shift, as_released):
    model = model_of(3, shift=shift)
    rows, steps = toy_decode(model, asked, policy, gen_length=gen_length, batch_size=2, as_released=as_released)
    mask = model.architecture.special.mask_id
    for step in steps:
        chosen, eligible, query, visible = (
            set(s.tolist()) for s in (step.chosen, step.eligible, step.query, step.visible)
        )
        assert chosen <= eligible <= query <= visible <= set(range(len(asked[step.row]) + gen_length))
        assert {p - shift for p in eligible} <= query
        assert min(eligible) >= len(asked[step.row])
        assert chosen or as_released
        assert mask not in step.tokens
    for prompt, row in zip(asked, rows, strict=True):
        assert row.canvas[: len(prompt)].tolist() == prompt  # P18: a prompt's [MASK] stays
        assert mask not in row.canvas[len(prompt) :]
        assert row.nfe == len(row.query_lengths) == len(row.visible_lengths)


@given(
    prompts(most=5), policies, st.integers(1, 30), st.integers(2, 5), st.sampled_from([0, 1]), st.permutations(range(5))
)
def test_a_batch_equals_single_runs(asked, policy, gen_length, batch_size, shift, order):  # P19, with ragged prompts
    model = model_of(5, shift=shift)
    alone = [outcome(toy_decode(model, [p], policy, gen_length=gen_length)[0][0]) for p in asked]
    together, _ = toy_decode(model, asked, policy, gen_length=gen_length, batch_size=batch_size)
    assert outcomes(together) == alone
    order = [i for i in order if i < len(asked)]
    shuffled, _ = toy_decode(model, [asked[i] for i in order], policy, gen_length=gen_length, batch_size=batch_size)
    assert outcomes(shuffled) == [alone[i] for i in order]


@pytest.mark.parametrize("sampler", [Gumbel(0.7), Categorical(0.8), Categorical(1.2, top_p=0.9, top_k=5, mask_id=23)])
@given(asked=prompts(most=4), selector=selectors, seed=st.integers(0, 3))
def test_sampling_does_not_depend_on_the_batch(sampler, asked, selector, seed):
    model, policy = model_of(7), toy_policy(unmask_selector=selector)
    alone = [outcome(toy_decode(model, [p], policy, sampler=sampler, seed=seed)[0][0]) for p in asked]
    together, _ = toy_decode(model, asked[::-1], policy, sampler=sampler, seed=seed, batch_size=3)
    assert outcomes(together) == alone[::-1]


def test_seeds_matter_at_a_temperature_only():
    def tokens(temperature, seed):
        rows, _ = toy_decode(model_of(7), [[1, 2, 3]], toy_policy(), sampler=Gumbel(temperature), seed=seed)
        return rows[0].canvas.tolist()

    assert tokens(1.0, 0) == tokens(1.0, 0)
    assert tokens(1.0, 0) != tokens(1.0, 1)
    assert tokens(0.0, 0) == tokens(0.0, 1)


@given(prompts(), schedulers, selectors, st.integers(1, 24), st.sampled_from([0, 1]))
def test_a_store_that_is_always_refreshed_equals_no_store(asked, scheduler, selector, gen_length, shift):  # P1
    model = model_of(11, shift=shift)
    plain = toy_policy(block_scheduler=scheduler, unmask_selector=selector)
    stored = toy_policy(block_scheduler=scheduler, unmask_selector=selector, cache_policy=EverythingStored())
    assert outcomes(toy_decode(model, asked, plain, gen_length=gen_length)[0]) == outcomes(
        toy_decode(model, asked, stored, gen_length=gen_length, batch_size=3)[0]
    )


class RowsShiftedByOne:
    """A model whose row i - 1 says what row i of another says: that model as a shifted family would publish it."""

    def __init__(self, model: DiffusionModel) -> None:
        self.model = model

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    @property
    def architecture(self):
        from dataclasses import replace

        return replace(self.model.architecture, shift=1)

    def forward(self, inputs: StepInputs, signals: Signals):
        from dataclasses import replace

        hidden = self.model.forward(inputs, signals)
        return replace(hidden, states=hidden.states.roll(-1, dims=1))


@given(
    prompts(), schedulers, selectors, st.integers(1, 24), st.integers(1, 3), st.sampled_from([None, EverythingStored()])
)
def test_a_shifted_copy_of_a_model_decodes_the_same(asked, scheduler, selector, gen_length, batch_size, cached):  # P17
    policy = toy_policy(
        block_scheduler=scheduler, unmask_selector=selector, **({"cache_policy": cached} if cached else {})
    )
    model = model_of(13)
    plain, _ = toy_decode(model, asked, policy, gen_length=gen_length)
    shifted, _ = toy_decode(RowsShiftedByOne(model), asked, policy, gen_length=gen_length, batch_size=batch_size)
    assert outcomes(plain) == outcomes(shifted)


def lane_with(model, prompt, length, kv, policy):
    special = model.architecture.special
    row = Row(Request(0, tuple(prompt), length - len(prompt), special.mask_id))
    return Lane.begin(row, 0, policy, torch.Generator(), 0.0)


@given(st.integers(0, 10_000))
def test_a_cached_forward_equals_the_full_one(
    seed,
):  # P2: random canvas, gaps in the visible set, pruned and grown again
    random = np.random.default_rng(seed)
    model, length = model_of(17), 30
    lane = lane_with(model, random.integers(0, 23, 10), length, None, toy_policy(cache_policy=RandomQuery()))
    kv = model.new_kv(1, length)
    row = lane.row
    row.commit(np.arange(12, 20), random.integers(0, 22, 8), np.ones(8))
    for step in range(4):
        row.block = lane.schedule(row)
        base = (random.random(length) < 0.7) | (
            (np.arange(length) >= row.block.start) & (np.arange(length) < row.block.stop)
        )
        row.visible = np.flatnonzero(base)
        row.query = (
            row.visible
            if step == 0
            else np.intersect1d(
                row.visible, np.union1d(row.masks(row.block.start, row.block.stop), random.integers(0, length, 5))
            )
        )
        before = [p for p in row.visible if kv.slot_of[0, p] >= 0]
        lane.settle(kv)
        assert set(row.visible) - set(before) <= set(row.query)  # what has no entry is computed
        # what is read was computed on another visible set: make it fresh, so that equality is exact
        fresh = model.new_kv(1, length)
        full = forward(model, lane, fresh, row.visible)
        kv = fresh
        part = forward(model, lane, kv, row.query)
        index = np.searchsorted(row.visible, row.query)
        assert torch.allclose(part[0], full[0, index], atol=1e-5)  # RMSNorm and RoPE go through float32


def forward(model, lane, kv, query):
    lane.row.query = query
    (plan,) = pack([lane], kv)
    return model.forward(prepare(plan, kv, model.new_memory(Signals(), 1, lane.row.length, True)), Signals()).states


@given(st.integers(0, 10_000))
def test_slots_follow_the_visible_set(seed):
    random = np.random.default_rng(seed)
    kv = model_of(17).new_kv(2, 40)
    held: set[int] = set()
    for _ in range(8):
        visible = np.flatnonzero(random.random(40) < random.random())
        if not len(visible):
            continue
        missing = np.array(sorted(set(visible) - held), dtype=np.int64)
        query = np.union1d(missing, random.choice(visible, len(visible) // 3, replace=False))
        slots = kv.place(1, visible, query.astype(np.int64))
        held = set(visible.tolist())
        assert set(np.flatnonzero(kv.slot_of[1] >= 0)) == held
        used = kv.slot_of[1, visible]
        assert len(set(used.tolist())) == len(visible)  # a slot each
        assert used.max() < kv.n_used[1] <= kv.capacity
        assert kv.slot_of[1, query].tolist() == slots.tolist()
        positions = kv.positions(1, int(kv.n_used[1]))
        assert {int(p) for p in positions if p >= 0} == held
    assert (kv.slot_of[0] == -1).all()  # the other row is untouched


def test_a_block_knows_its_schedule_span():
    from dllmkit.state import Block

    assert Block(4, 8).schedule_span == Span(4, 8)
    assert Block(4, 8, stage=Span(0, 20)).schedule_span == Span(0, 20)
