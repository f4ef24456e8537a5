"""Accuracy under parallelism, against the definition written out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.compare.aup import Operating, aup

points = st.lists(
    st.tuples(st.floats(0.1, 50), st.floats(1, 100)), min_size=1, max_size=6, unique_by=lambda point: point[0]
)


def literal(pairs: list[tuple[float, float]], best: float) -> float:
    """Equation 1 of arXiv 2601.07568, term by term."""
    pairs = sorted(pairs)
    pairs = [pair for pair in pairs if pair[1] >= pairs[0][1] - 5]
    weight = [min(math.exp(-3 * (1 - y / best)), 1) for _, y in pairs]
    total = pairs[0][0] * pairs[0][1]
    for i in range(1, len(pairs)):
        (r1, y1), (r0, y0) = pairs[i], pairs[i - 1]
        total += 0.5 * (r1 - r0) * (y1 * weight[i] + y0 * weight[i - 1])
    return total


@given(points)
def test_the_definition(pairs):
    best = max(y for _, y in pairs)
    assert aup([Operating(*pair) for pair in pairs], best) == pytest.approx(literal(pairs, best))


def test_an_example_by_hand():
    # 1 x 80, then from (1, 80) to (5, 76) with W(80) = 1 and W(76) = exp(-0.15)
    expected = 80 + 0.5 * 4 * (80 + 76 * math.exp(-0.15))
    assert aup([Operating(5, 76), Operating(1, 80)], best=80) == pytest.approx(expected)


def test_speed_bought_with_accuracy_adds_nothing():
    assert aup([Operating(1, 80), Operating(50, 74.9)], best=80) == 80
    assert aup([Operating(1, 80), Operating(2, 75)], best=80) > 80  # exactly 5 points below is kept


def test_of_equal_parallelism_the_more_accurate_counts():
    assert aup([Operating(1, 70), Operating(1, 80)], best=80) == 80


@pytest.mark.parametrize("wrong", [[], [Operating(0, 50)]])
def test_what_has_no_area(wrong):
    with pytest.raises(ValueError, match="expected at least one, each with a parallelism above 0"):
        aup(wrong, best=50)


def test_nothing_right_is_no_area():
    assert aup([Operating(1, 0), Operating(2, 0)], best=0) == 0
