"""Axes of a chart: from values to pixels, and where the ticks stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOGARITHMIC_FROM = 5.0  # ratio of largest to smallest value from which equal factors may get equal room


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values laid over a range of pixels; a y axis has `start` below `stop`, in pixels the other way round."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values within the axis, at most about `most`."""
        if not self.logarithmic:
            return _linear(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [f * 10.0**d for d in decades for f in factors]
            found = [tick for tick in found if self.low <= tick <= self.high]
            if len(found) <= most:
                break
        return found


def axis_over(values: Sequence[float], start: float, stop: float) -> Axis:
    """Make an axis that holds the values with a margin: linear or logarithmic, whichever keeps them farther apart."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    linear = Axis(max(0.0, low - margin) if low >= 0 else low - margin, high + margin, start, stop)
    if low <= 0 or high / low < LOGARITHMIC_FROM:
        return linear
    factor = (high / low) ** 0.08
    logarithmic = Axis(low / factor, high * factor, start, stop, logarithmic=True)
    return max((linear, logarithmic), key=lambda axis: _spread(axis, values))


def _spread(axis: Axis, values: Sequence[float]) -> float:
    """The sum of the distances of all pairs, each up to a tenth of the axis: what is farther apart is apart anyway."""
    pixels = sorted(map(axis, values))
    enough = abs(axis.stop - axis.start) / 10
    return sum(min(b - a, enough) for i, a in enumerate(pixels) for b in pixels[i + 1 :])


def _linear(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(f * base for f in (1, 2, 2.5, 5, 10) if f * base >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    ticks = [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return [tick for tick in ticks if low <= tick <= high]
