"""A component that breaks its contract is named, with the row and the positions; error texts are exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from dllmkit.errors import ModelError, PluginError
from dllmkit.signals import Signals
from dllmkit.slots import Stop
from dllmkit.state import Block
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy


@dataclass(frozen=True)
class Scheduler:
    block: Block

    def begin(self, row):
        return lambda row: self.block


@dataclass(frozen=True)
class Context:
    positions: Any

    def begin(self, row):
        return lambda row: np.array(self.positions)


@dataclass(frozen=True)
class Cache:
    positions: Any
    allowed: Any = None
    reads_cache: ClassVar[bool] = True

    def begin(self, row):
        return self

    def refresh_due(self, row):
        return False

    def query(self, row):
        return np.array(self.positions)

    def narrow(self, row, eligible):
        return eligible if self.allowed is None else np.array(self.allowed, dtype=np.int64)


@dataclass(frozen=True)
class Forgetful:
    """Says that it never reads the store, but leaves positions out."""

    reads_cache: ClassVar[bool] = False

    def begin(self, row):
        return self

    def refresh_due(self, row):
        return True

    def query(self, row):
        return row.visible[row.prompt_length :]


@dataclass(frozen=True)
class Selector:
    answer: Any
    signals: ClassVar[Signals] = Signals()
    patience: ClassVar[int] = 0

    def begin(self, row):
        return self

    def inputs(self, row):
        return ()

    def select(self, proposal):
        return self.answer(proposal)


@dataclass(frozen=True)
class Rule:
    start: int

    def begin(self, row):
        return lambda row: Stop(self.start, 1, "test")


def fails(error=PluginError, prompt=(1, 2, 3), **components):
    with pytest.raises(error) as caught:
        toy_decode(toy_model(), [prompt], toy_policy(**components), gen_length=10)
    return str(caught.value)


def test_scheduler():
    who = "block_scheduler test_contract.Scheduler, row 0, step 0: "
    assert fails(block_scheduler=Scheduler(Block(3, 99))) == who + "block [3, 99) is not within [0, 13)"
    assert fails(block_scheduler=Scheduler(Block(5, 5))) == who + "block [5, 5) is not within [0, 13)"
    stuck = who + "block [0, 3) holds no position that is still masked: no progress is possible"
    assert fails(block_scheduler=Scheduler(Block(0, 3))) == stuck
    none = Block(3, 9, positions=np.array([1, 12]))
    assert fails(block_scheduler=Scheduler(none)) == stuck.replace("[0, 3)", "[3, 9)")


def test_context():
    who = "context_window test_contract.Context, row 0, step 0"
    assert fails(context_window=Context([0, 13])) == who + ": positions 13 are outside [0, 13)"
    assert fails(context_window=Context([-1])) == who + ": positions -1 are outside [0, 13)"
    left = who + " left eligible positions out of the visible ones: 5, 6, 7, 8, 9, 10"
    assert fails(context_window=Context(range(5))) == left


def test_cache():
    who = "cache_policy test_contract.Cache, row 0, step 0"
    pruned = Context([*range(11), 12])
    unseen = who + " wants positions recomputed that are not visible: 11"
    assert fails(context_window=pruned, cache_policy=Cache(range(13))) == unseen
    assert fails(cache_policy=Cache(range(9))) == who + " left eligible positions out of the query: 9, 10"
    narrowed = who + " narrowed the eligible positions to some that are not eligible: 2"
    assert fails(cache_policy=Cache(range(13), allowed=[2, 3])) == narrowed
    forgot = "cache_policy test_contract.Forgetful, row 0, step 0 declares reads_cache = False but left visible positions out "
    assert fails(cache_policy=Forgetful()) == forgot + "of the query: 0, 1, 2"


def test_a_cache_may_narrow_what_is_eligible():
    rows, steps = toy_decode(toy_model(), [[1, 2, 3]], toy_policy(cache_policy=NarrowToFirst()), gen_length=10)
    assert [s.chosen.tolist() for s in steps] == [[p] for p in range(3, 13)]
    assert rows[0].nfe == 10


class NarrowToFirst(Cache):
    def __init__(self):
        super().__init__(None)

    def query(self, row):
        return row.visible

    def narrow(self, row, eligible):
        return eligible[:1]


def test_selector():
    who = "unmask_selector test_contract.Selector"
    wrong = fails(unmask_selector=Selector(lambda p: p.confidence))
    assert wrong == f"{who} returned torch.float64 [1, 8], expected torch.bool [1, 8]"
    narrow = fails(unmask_selector=Selector(lambda p: p.eligible[:, :2]))
    assert narrow == f"{who} returned torch.bool [1, 2], expected torch.bool [1, 8]"
    # a ragged batch: the block of the first row is shorter
    policy = toy_policy(unmask_selector=Selector(lambda p: torch.ones_like(p.eligible)), block_scheduler=Ragged())
    with pytest.raises(PluginError) as caught:
        toy_decode(toy_model(), [[1, 2, 3], [1]], policy, gen_length=10, batch_size=2)
    assert (
        str(caught.value) == f"{who}, row 0, step 0: chose columns [3, 4, 5, 6, 7], but only 3 positions are eligible"
    )


@dataclass(frozen=True)
class Ragged:
    def begin(self, row):
        width = 3 if row.request.index == 0 else 8
        return lambda row: Block(row.first_mask, min(row.first_mask + width, row.length))


def test_a_selector_that_chooses_nothing_is_helped():
    selector = Selector(lambda p: torch.zeros_like(p.eligible))
    rows, steps = toy_decode(toy_model(), [[1, 2, 3]], toy_policy(unmask_selector=selector), gen_length=10)
    assert rows[0].nfe == 10
    for step in steps:
        assert len(step.chosen) == 1


def test_stop_rule():
    wrong = "stop_rule test_contract.Rule, row 0, step 0: wants to fill from position {}, expected 3 "
    assert fails(stop_rules=(Rule(2),)).startswith(wrong.format(2))
    assert fails(stop_rules=(Rule(13),)).startswith(wrong.format(13))


def test_shifted_model_and_position_0():
    with pytest.raises(PluginError, match="position 0 has no row that predicts it"):
        toy_decode(toy_model(shift=1), [[]], toy_policy(), gen_length=4)


def test_nan_is_reported():
    model = toy_model()
    model.network.lm_head.weight[5] = float("nan")
    with pytest.raises(
        ModelError, match=r"the model gave NaN at positions \[3, 4, 5, 6, 7, 8, 9, 10\] \(row 0, step 0\)"
    ):
        toy_decode(model, [[1, 2, 3]], toy_policy(), gen_length=10)
