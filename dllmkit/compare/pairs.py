"""Paired differences: two recipes on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dllmkit.evaluation.statistics import mcnemar


@dataclass(frozen=True, slots=True)
class Paired:
    """A recipe against the reference, problem by problem.

    `difference` is its accuracy less the reference's; `p` is the exact McNemar test's, `p_holm` the same adjusted for all
    comparisons with that reference (Holm 1979).
    """

    n: int
    both: int
    only_reference: int
    only_this: int
    neither: int
    difference: float
    p: float
    p_holm: float


def paired(reference: Sequence[bool], others: Sequence[Sequence[bool]]) -> list[Paired]:
    """Compare the verdicts of each of `others` with those of the reference, over the same problems in the same order."""
    tests = [mcnemar(reference, other) for other in others]
    adjusted = holm([test.p for test in tests])
    n = len(reference)
    rows = []
    for other, test, p_holm in zip(others, tests, adjusted, strict=True):
        both = sum(1 for a, b in zip(reference, other, strict=True) if a and b)
        neither = n - both - test.only_first - test.only_second
        difference = (test.only_second - test.only_first) / n
        rows.append(Paired(n, both, test.only_first, test.only_second, neither, difference, test.p, p_holm))
    return rows


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, step-down as Holm (1979) does: the i-th smallest of m times m - i + 1, ascending."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted
