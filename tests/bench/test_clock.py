"""The log of a decode: every forward with its rows, and all of the time in some part."""

from __future__ import annotations

import numpy as np
import pytest

from dllmkit.bench import clock
from dllmkit.bench.clock import HOST, StepLog
from dllmkit.loop import decode
from dllmkit.propose import Proposer
from dllmkit.sampling import Gumbel
from dllmkit.signals import Signals
from dllmkit.state import Request
from dllmkit.testing.toy import toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks


class Ticks:
    """A clock that moves on only when it is told."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def ticks(monkeypatch):
    made = Ticks()
    monkeypatch.setattr(clock, "time", made)
    return made


class Record:
    def __init__(self, query, visible, eligible):
        self.query, self.visible, self.eligible = np.arange(query), np.arange(visible), np.arange(eligible)
        self.canvas, self.mask_id, self.prompt_length = np.full(visible, 9), 9, 0
        self.chosen, self.request = np.arange(0), Request(0, (), visible, 9)


def test_parts_and_what_forwards_share(ticks):
    synced = []
    log = StepLog(lambda: synced.append(ticks.now))

    def part(name, seconds):
        with log(name):
            ticks.now += seconds

    part("schedule", 1)
    part("cache", 1)
    part("cache", 1)
    for query in (4, 6):
        part("cache", 1)
        part("forward", 10)
        part("propose", 2)
        part("commit", 1)
        log.on_step(Record(query, 6, 2))
    part("schedule", 5)
    part("step", 7)
    part("commit", 1)
    log.on_step(Record(1, 2, 1))
    log.close(ticks.now + 6)
    first, second, third = log.forwards
    own = {"forward": 10, "propose": 2, "commit": 1}
    assert first.seconds == second.seconds == {**own, "schedule": 0.5, "cache": 2.0, "other": 2.0}
    assert third.seconds == {"step": 7, "commit": 1, "schedule": 5, "other": 2.0}
    assert [forward.work.kind for forward in log.forwards] == ["refine", "refresh", "refine"]
    assert sum(forward.total for forward in log.forwards) == ticks.now + 6
    assert len(synced) == 14  # once at the end of each part


def test_a_batch_with_refill_is_logged_whole():
    model = toy_model()
    special = model.architecture.special
    prompts = [[1] * n for n in (1, 9, 3, 20)]
    requests = [Request(i, tuple(p), 16, special.mask_id) for i, p in enumerate(prompts)]
    log, rows = StepLog(), {}
    proposer = Proposer(Gumbel(), Signals(), special.mask_id)
    for row, step in decode(model, requests, toy_policy(block_scheduler=FixedBlocks(4)), proposer, 2, log):
        log.on_step(step)
        rows[row.request.index] = row
    log.close(100.0)
    assert sum(len(forward.rows) for forward in log.forwards) == sum(row.nfe for row in rows.values())
    work = [row for forward in log.forwards for row in forward.rows]
    assert sum(row.query for row in work) == sum(sum(row.query_lengths) for row in rows.values())
    assert sum(forward.total for forward in log.forwards) == pytest.approx(100.0)
    parts = {name for forward in log.forwards for name in forward.seconds}
    assert parts == {*HOST, "forward", "propose", "select"}
