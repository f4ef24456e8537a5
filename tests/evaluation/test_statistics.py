"""Intervals and tests against published tables and brute force."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.evaluation.statistics import bootstrap, mcnemar, wilson


def test_wilson() -> None:
    low, high = wilson(95, 100)  # 0.888 and 0.978 in Wilson's tables
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10).low == 0.0
    assert wilson(10, 10).high == 1.0


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    right, total = counts
    low, high = wilson(right, total)
    assert 0 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1
    mirrored = wilson(total - right, total)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_mcnemar_is_the_sign_test_of_all_coin_tosses(n: int) -> None:
    for heads in range(n + 1):
        first = [True] * heads + [False] * (n - heads) + [True, False]
        second = [False] * heads + [True] * (n - heads) + [True, False]
        extreme = [t for t in itertools.product((0, 1), repeat=n) if min(sum(t), n - sum(t)) <= min(heads, n - heads)]
        found = mcnemar(first, second)
        assert (found.only_first, found.only_second) == (heads, n - heads)
        assert found.p == pytest.approx(min(1.0, len(extreme) / 2**n))


def test_mcnemar_by_hand() -> None:
    assert mcnemar([True] * 8 + [False], [False] * 8 + [True]).p == pytest.approx(2 * (1 + 9) / 2**9)
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, True], [True])


def test_bootstrap() -> None:
    values = [float(i % 10) for i in range(400)]
    low, high = bootstrap(values)
    spread = 1.96 * math.sqrt(8.25 / 400)  # of the mean of 400 draws from 0..9
    assert (low, high) == (pytest.approx(4.5 - spread, abs=0.05), pytest.approx(4.5 + spread, abs=0.05))
    assert bootstrap(values) == (low, high)
    assert bootstrap(values, seed=1) != (low, high)
    assert bootstrap([3.0, 3.0]) == (3.0, 3.0)
    assert all(map(math.isnan, bootstrap([])))
