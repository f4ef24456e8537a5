"""The Pareto front: what nothing else beats in both respects."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float | None, float | None]]) -> list[bool]:
    """Say of each point (more is better in both) whether it is on the front: no other is as good in both and better in one.

    A point with a figure that was not measured is not on it, and beats none.
    """
    return [
        x is not None
        and y is not None
        and not any(a is not None and b is not None and a >= x and b >= y and (a > x or b > y) for a, b in points)
        for x, y in points
    ]
