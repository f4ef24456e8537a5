"""Accuracy under parallelism: one figure for a curve of accuracy over tokens per forward.

Source: Qian et al., "d3LLM: Ultra-Fast Diffusion LLM using Pseudo-Trajectory Distillation", arXiv 2601.07568.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

ALPHA = 3.0  # the paper's penalty factor
TOLERANCE = 5.0  # percentage points below the first accuracy from which points are left out


class Operating(NamedTuple):
    """An operating point: tokens per forward, and accuracy in percent."""

    parallelism: float
    accuracy: float


def aup(points: Sequence[Operating], best: float, alpha: float = ALPHA, tolerance: float = TOLERANCE) -> float:
    """Return the area under accuracy over parallelism, accuracies below `best` (percent) counting exponentially less.

    The points are taken in ascending parallelism, r_1 < ... < r_m; those with an accuracy below y_1 - tolerance are left
    out. Then r_1 y_1 + sum over i > 1 of (r_i - r_{i-1}) (y_i W(y_i) + y_{i-1} W(y_{i-1})) / 2 with the weight
    W(y) = min(exp(-alpha (1 - y / best)), 1). Of points with the same parallelism the most accurate counts. Raises
    ValueError without points, or where a parallelism is not positive.
    """
    if not points or min(point.parallelism for point in points) <= 0:
        raise ValueError(f"points = {list(points)}, expected at least one, each with a parallelism above 0")
    curve = sorted({p.parallelism: p for p in sorted(points, key=lambda p: p.accuracy)}.values())
    kept = [point for point in curve if point.accuracy >= curve[0].accuracy - tolerance]
    area = kept[0].parallelism * kept[0].accuracy
    for before, point in pairwise(kept):
        heights = _weighed(before.accuracy, best, alpha) + _weighed(point.accuracy, best, alpha)
        area += (point.parallelism - before.parallelism) * heights / 2
    return area


def _weighed(accuracy: float, best: float, alpha: float) -> float:
    return accuracy * min(math.exp(-alpha * (1 - accuracy / best)), 1.0) if best else 0.0
