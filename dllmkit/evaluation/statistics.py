"""Intervals and tests for shares of right answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


class McNemar(NamedTuple):
    """Paired answers to the same problems: how often only one side was right, and how likely that is by chance."""

    only_first: int
    only_second: int
    p: float


def wilson(right: int, total: int, z: float = 1.959964) -> Interval:
    """Wilson score interval of a proportion, 95 % by default (Wilson 1927); (0, 1) when nothing was counted."""
    if total == 0:
        return Interval(0.0, 1.0)
    share, square = right / total, z * z / total
    centre = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / total + square / (4 * total))
    return Interval(0.0 if right == 0 else centre - half, 1.0 if right == total else centre + half)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """Exact two-sided McNemar test: under equal accuracy, each disagreement falls to either side with probability 1/2.

    `p` is twice the smaller binomial tail, at most 1; it is 1 when the two never disagree. Raises ValueError if the
    sequences differ in length.
    """
    pairs = list(zip(first, second, strict=True))
    ours = sum(1 for a, b in pairs if a and not b)
    theirs = sum(1 for a, b in pairs if b and not a)
    n = ours + theirs
    tail = sum(math.comb(n, k) for k in range(min(ours, theirs) + 1))
    return McNemar(ours, theirs, min(1.0, 2 * tail / 2**n))


def bootstrap(values: Sequence[float], resamples: int = 2000, seed: int = 0, level: float = 0.95) -> Interval:
    """Percentile bootstrap interval of a mean (Efron 1979); (nan, nan) for no values. The same seed gives the same ends."""
    if not values:
        return Interval(math.nan, math.nan)
    draw, n = Random(seed), len(values)
    means = sorted(math.fsum(draw.choices(values, k=n)) / n for _ in range(resamples))
    outside = (1 - level) / 2
    return Interval(means[int(outside * (resamples - 1))], means[math.ceil((1 - outside) * (resamples - 1))])
