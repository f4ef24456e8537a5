"""Faults that a plausible slip would cause and no other test would notice (docs/lab/2026-11-22-mutations.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from dllmkit.kv import KVStore
from dllmkit.memory import Memory
from dllmkit.proposal import KeyColumns, Proposal
from dllmkit.signals import Attention, Signals
from dllmkit.state import Block, Request, Row, Span
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_fast_dllm.prefix_cache import PrefixCache
from dllmkit_local_leap.local_leap import LocalLeap
from dllmkit_streaming.dynamic_threshold import DynamicThreshold


@pytest.mark.parametrize(
    ("scheduler", "cache"),
    [(FixedBlocks(3), PrefixCache()), (FixedBlocks(3), DualCache()), (SlidingBlock(3), DsbCache(1))],
    ids=["prefix_cache", "dual_cache", "dsb_cache"],
)
@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize("shift", [0, 1])
def test_only_a_released_shifted_refresh_commits_one_mask(scheduler, cache, as_released, shift):
    policy = toy_policy(block_scheduler=scheduler, cache_policy=cache, unmask_selector=Threshold(0.0))
    _, steps = toy_decode(toy_model(shift=shift), [[1, 2]], policy, gen_length=6, as_released=as_released)
    assert steps[0].refresh
    assert steps[0].chosen.tolist() == ([2] if as_released and shift else [2, 3, 4])


def a_row(prompt_length: int = 2, gen_length: int = 8, as_released: bool = False) -> Row:
    row = Row(Request(0, tuple(range(prompt_length)), gen_length, mask_id=99, as_released=as_released))
    row.block = Block(prompt_length, prompt_length + 4)
    row.visible = np.arange(row.length)
    return row


def commit(row: Row, *positions: int) -> None:
    row.commit(np.array(positions, dtype=np.int64), np.zeros(len(positions), dtype=np.int64), np.ones(len(positions)))


@pytest.mark.parametrize(
    ("scope", "sliding", "tau_min", "expected"),
    [
        ("auto", False, 0.0, 0.8 * (1 - 3 / 8)),  # 3 of the 8 positions from the block on are committed
        ("auto", True, 0.0, 0.8 * (1 - 3 / 4)),  # 3 of the block's 4
        ("query", True, 0.0, 0.8 * (1 - 3 / 8)),
        ("window", False, 0.0, 0.8 * (1 - 3 / 4)),
        ("window", False, 0.3, 0.3),
    ],
)
def test_the_dynamic_threshold_of_a_step(scope, sliding, tau_min, expected):
    row = a_row()
    inputs = DynamicThreshold(0.8, 1.0, scope, tau_min).begin(row).inputs
    stage = Span(2, 10) if sliding else None
    row.block = Block(2, 6, stage=stage)
    assert inputs(row) == (0.8,)
    commit(row, 2, 3, 5)
    assert inputs(row) == pytest.approx((expected,))


@pytest.mark.parametrize(("as_released", "expected"), [(False, 0.8), (True, 0.5)])
def test_the_released_first_forward_of_a_block_knows_no_lower_bound(as_released, expected):
    row = a_row(as_released=as_released)
    assert DynamicThreshold(0.5, 0.3, "auto", 0.8).begin(row).inputs(row) == (expected,)


@pytest.mark.parametrize("selector", [DynamicThreshold(0.5), Threshold(0.5), LocalLeap(0.5, 0.5, 0)], ids=type)
def test_a_confidence_equal_to_the_threshold_is_enough(selector):
    picked = selector.select(proposal_of([[0.5, 0.4999, 0.5001]], [[0.5, 0.5]]))
    assert picked.tolist() == [[True, False, True]]


def test_relaxed_thresholds_are_reached_by_equality_too():
    picked = LocalLeap(0.5, 0.25, 1).select(proposal_of([[0.25, 0.5, 0.25, 0.25]], [[0.5, 0.25]]))
    assert picked.tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("eps", [1e-3, 0.4])
def test_the_dream_schedule_ends_at_eps_and_truncates_in_single_precision(eps):
    for steps in range(2, 41):
        row = a_row(gen_length=40, as_released=True)
        row.block = Block(2, 42)
        schedule = DreamSchedule(steps, "confidence", eps).begin(row)
        times = torch.linspace(1, eps, steps + 1)
        for j in range(steps):
            masks = row.gen_length - row.n_committed
            due = masks if j == steps - 1 else int(torch.tensor(masks) * (1 - times[j + 1] / times[j]))
            assert schedule.inputs(row) == (due,)
            commit(row, *range(row.first_mask, row.first_mask + due))


def test_the_dream_schedule_ranks_by_its_measure():
    shown = proposal_of([[0.5, 0.4, 0.3]], [[1.0]])
    margin, entropy = torch.tensor([[0.1, 0.3, 0.2]]), torch.tensor([[2.0, 3.0, 1.0]])
    for measure, extra, best in (
        ("confidence", {}, 0),
        ("margin", {"margin": margin}, 1),
        ("neg_entropy", {"entropy": entropy}, 2),
    ):
        picked = DreamSchedule(None, measure).select(replace(shown, **extra))
        assert picked.tolist() == [[i == best for i in range(3)]]


def proposal_of(confidence: list[list[float]], inputs: list[list[float]]) -> Proposal:
    c = torch.tensor(confidence, dtype=torch.float64)
    positions = torch.arange(c.shape[1]).expand_as(c)
    wide = torch.tensor(inputs, dtype=torch.float64)
    return Proposal(positions, torch.ones_like(c, dtype=torch.bool), torch.zeros_like(positions), c, wide)


def test_an_anchor_lies_before_the_blocks_end():
    proposal = replace(
        proposal_of([[0.8]], [[2.0]]),  # position 0; the block ends at 2
        attention=torch.tensor([[[0.0, 0.0, 0.9]]]),
        attention_mean=torch.zeros(1, 3),
        observed=torch.ones(1, 3),
        keys=KeyColumns(torch.tensor([[0, 1, 2]]), torch.tensor([[False, False, True]]), torch.tensor([[0]])),
    )
    dawn = Dawn(tau_high=0.9, tau_induce=0.7, tau_low=0.85)
    assert dawn.select(proposal).tolist() == [[False]]
    assert dawn.select(replace(proposal, inputs=torch.tensor([[3.0]]))).tolist() == [[True]]


def test_an_end_token_in_a_blocks_last_position_ends_the_row():
    row = a_row()
    row.commit(np.arange(2, 6), np.array([1, 1, 1, 7]), np.ones(4))
    assert Eos("block_end", (7,)).begin(row)(row) == (6, 7, "eos")


def test_the_store_says_which_position_lies_in_which_slot():
    store = KVStore(1, 1, 1, rows=1, length=12, device=torch.device("cpu"), dtype=torch.float64)
    everything = np.arange(8)
    store.place(0, everything, everything)
    pruned = np.array([0, 1, 5, 6, 7])
    store.place(0, pruned, np.array([7]))
    assert store.positions(0, 8).tolist() == [0, 1, -1, -1, -1, 5, 6, 7]  # holes stay where they are
    wider = np.array([0, 1, 5, 6, 7, 9, 11])
    assert store.place(0, wider, np.array([9, 11])).tolist() == [2, 3]
    assert store.positions(0, 8).tolist() == [0, 1, 9, 11, -1, 5, 6, 7]
    store.clear(0)
    assert not store.holds(0, wider).any()
    assert store.n_used.tolist() == [0]


def test_attention_rows_are_kept_for_what_is_visible_and_forgotten_for_the_rest():
    signals = Signals(attention=Attention((-1,), mean=True))
    memory = Memory(signals, rows=1, length=4, stored=True, device=torch.device("cpu"), dtype=torch.float64)

    def mean(queries: list[int], keys: list[int]) -> list[float]:
        attention = torch.full((1, len(queries), len(keys)), 1 / len(keys), dtype=torch.float64)
        rows, at, over = torch.tensor([0]), torch.tensor([queries]), torch.tensor([keys])
        return memory.attention_mean(rows, at, over, attention)[0].tolist()

    assert mean([0, 1, 2, 3], [0, 1, 2, 3]) == [0.25] * 4
    assert mean([0, 1], [0, 1]) == [0.5] * 2  # the rows of 2 and 3 are out of sight
    assert mean([1, 2], [0, 1, 2]) == pytest.approx(
        [7 / 18, 7 / 18, 4 / 18]
    )  # row 0 saw nothing at 2 when it was last computed


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_token_is_never_committed(seed):
    model = toy_model(seed)
    rows, _ = toy_decode(model, [[1, 2], [5, 6, 7]], toy_policy(unmask_selector=Threshold(0.0)), gen_length=24)
    assert all(model.architecture.special.mask_id not in row.canvas for row in rows)


@dataclass(frozen=True)
class LastOfTheLongPrompt:
    """Chooses the last column where the prompt has two tokens, and nothing elsewhere."""

    signals: ClassVar[Signals] = Signals()
    patience: ClassVar[int] = 0

    def begin(self, row):
        return self

    def inputs(self, row):
        return (float(row.prompt_length == 2),)

    def select(self, proposal):
        n = proposal.eligible.sum(dim=1, keepdim=True)
        last = torch.arange(proposal.eligible.shape[1])[None] == n - 1
        return last & (proposal.inputs[:, :1] > 0)


def test_only_the_row_that_is_stuck_is_helped():
    policy = toy_policy(unmask_selector=LastOfTheLongPrompt())
    _, steps = toy_decode(toy_model(), [[1], [1, 2]], policy, gen_length=6, batch_size=2)
    assert [s.chosen.tolist() for s in steps if s.row == 1] == [[p] for p in range(7, 1, -1)]
    assert [len(s.chosen) for s in steps if s.row == 0] == [1] * 6


@dataclass(frozen=True)
class Hesitant(LastOfTheLongPrompt):
    """Chooses nothing, and may do so twice in a row."""

    patience: ClassVar[int] = 2

    def select(self, proposal):
        return torch.zeros_like(proposal.eligible)


def test_patience_is_counted_from_the_last_commit():
    _, steps = toy_decode(toy_model(), [[1]], toy_policy(unmask_selector=Hesitant()), gen_length=3)
    assert [len(s.chosen) for s in steps] == [0, 0, 1] * 3


@dataclass(frozen=True)
class Watching(LastOfTheLongPrompt):
    """Notes the positions that it is shown."""

    seen: list[list[list[int]]]

    def select(self, proposal):
        self.seen.append(proposal.positions.tolist())
        return proposal.eligible


def test_padding_has_no_position():
    policy = toy_policy(block_scheduler=SlidingBlock(4, 4), unmask_selector=(watching := Watching([])))
    toy_decode(toy_model(), [[1], [1, 2, 3]], policy, gen_length=4, batch_size=2)
    assert watching.seen == [[[1, 2, 3, 4], [3, 4, 5, 6]]]
    ragged = toy_policy(block_scheduler=ByPrompt(), unmask_selector=(watching := Watching([])))
    toy_decode(toy_model(), [[1], [1, 2, 3]], ragged, gen_length=4, batch_size=2)
    assert watching.seen[0] == [[1, -1, -1], [3, 4, 5]]


@dataclass(frozen=True)
class ByPrompt:
    """As many positions as the prompt has."""

    def begin(self, row):
        return lambda row: Block(row.first_mask, min(row.first_mask + row.prompt_length, row.length))
