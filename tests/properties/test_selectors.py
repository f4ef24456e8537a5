"""Properties of the baseline selectors on random proposals (spec P9, P14, P16), against slow transcriptions of the rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.proposal import Proposal, ranks
from dllmkit.state import Block, Request, Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.factor import Factor
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.quota import Quota, quota_until
from dllmkit_baseline.threshold import Threshold

confidences = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 0.97, 1.0]), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
)


def proposal_of(rows: list[list[float]], inputs: list[list[float]]) -> Proposal:
    width = max(len(r) for r in rows)
    confidence = torch.full((len(rows), width), float("-inf"), dtype=torch.float64)
    for i, row in enumerate(rows):
        confidence[i, : len(row)] = torch.tensor(row, dtype=torch.float64)
    eligible = confidence > float("-inf")
    positions = torch.where(eligible, torch.arange(width).expand(len(rows), -1), -1)
    return Proposal(
        positions, eligible, torch.zeros_like(positions), confidence, torch.tensor(inputs, dtype=torch.float64)
    )


def chosen(selector, rows, inputs):
    picked = selector.select(proposal_of(rows, inputs))
    return [set(torch.nonzero(picked[i]).flatten().tolist()) for i in range(len(rows))]


@given(confidences)
def test_ranks_are_stable_and_descending(rows):
    ranked = ranks(proposal_of(rows, [[0.0]] * len(rows)).confidence)
    for i, row in enumerate(rows):
        want = sorted(range(len(row)), key=lambda c: (-row[c], c))
        assert [want.index(c) for c in range(len(row))] == ranked[i, : len(row)].tolist()


@given(confidences, st.floats(0, 1), st.floats(0, 1))
def test_a_lower_threshold_chooses_more(rows, one, other):  # P9
    low, high = sorted([one, other])
    more = chosen(Threshold(low), rows, [[low]] * len(rows))
    fewer = chosen(Threshold(high), rows, [[high]] * len(rows))
    for row, a, b in zip(rows, more, fewer, strict=True):
        assert b <= a <= set(range(len(row)))
        assert a == {c for c, value in enumerate(row) if value >= low}


def released_factor(row: list[float], factor: float, as_released: bool) -> int:
    """How many are committed, read off the rule: go down the ranking, stop at the first that misses its bound."""
    ordered = sorted(row, reverse=True)
    for n, value in enumerate(ordered, 1):
        if n >= 2 and value < 1 - factor / (n + 1):
            return n if as_released and n == len(ordered) else n - 1
    return len(ordered)


@given(confidences, st.sampled_from([0.01, 0.3, 1.0, 2.5, 50.0]), st.booleans())
def test_factor_follows_its_rule(rows, factor, as_released):
    inputs = [[factor, float(as_released)]] * len(rows)
    for row, got in zip(rows, chosen(Factor(factor), rows, inputs), strict=True):
        best = sorted(range(len(row)), key=lambda c: (-row[c], c))
        assert got == set(best[: released_factor(row, factor, as_released)])


@given(confidences)
def test_factor_limits(rows):  # P14
    below_one = [[min(c, 0.97) for c in row] for row in rows]
    assert all(len(got) == 1 for got in chosen(Factor(1e-9), below_one, [[1e-9, 0.0]] * len(rows)))
    many = float(max(map(len, rows)) + 1)
    assert [len(got) for got in chosen(Factor(many), rows, [[many, 0.0]] * len(rows))] == [len(row) for row in rows]


@given(st.integers(0, 200), st.integers(1, 60))
def test_quotas_share_the_masks(masks, steps):  # P16
    quotas = [quota_until(j + 1, masks, steps) - quota_until(j, masks, steps) for j in range(steps)]
    assert sum(quotas) == masks
    assert max(quotas) - min(quotas) <= 1
    assert quotas == sorted(quotas, reverse=True)
    assert quota_until(steps + 3, masks, steps) == masks


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.sampled_from(["quota", "dream"]))
def test_schedules_end_when_they_should(gen_length, block_length, steps, kind):
    """Blocks that do not divide the generation included: forwards never exceed the steps, or one per mask."""
    selector = Quota(steps) if kind == "quota" else DreamSchedule(steps)
    policy = toy_policy(unmask_selector=selector, block_scheduler=FixedBlocks(block_length))
    rows, _ = toy_decode(toy_model(2), [[1, 2]], policy, gen_length=gen_length)
    blocks = [min(block_length, gen_length - start) for start in range(0, gen_length, block_length)]
    most = sum(min(b, max(1, steps * b // gen_length)) for b in blocks)
    assert rows[0].nfe <= most
    if kind == "quota":
        assert rows[0].nfe == most


@pytest.mark.parametrize("steps", [4, 16, 40])
def test_dream_schedule_counts_as_released(steps):
    """floor(m (1 - t'/t)) with idle steps when released; at least one token by default."""
    times = torch.linspace(1, 1e-3, steps + 1)
    row = Row(Request(0, (1,), 16, 9, as_released=True))
    run = DreamSchedule(steps).begin(row)
    row.block = Block(1, 17)
    masks, idle = 16, 0
    for j in range(steps):
        (k,) = run.inputs(row)
        assert k == (masks if j == steps - 1 else int(masks * (1 - times[j + 1] / times[j])))
        row.commit(row.masks(1, 17)[:k], np.zeros(k, dtype=np.int64), np.ones(k))
        idle += k == 0
        masks -= k
    assert masks == 0
    assert run.patience >= idle
