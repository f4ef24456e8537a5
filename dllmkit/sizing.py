"""How the sizes of a forward are rounded up: not at all, away from one, or to the buckets of CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PER_OCTAVE = 4  # bucket sizes between a power of two and the next: padding adds less than a quarter


def exact(n: int) -> int:
    """Leave a size as it is."""
    return n


def not_one(n: int) -> int:
    """Make 1 a 2: a compiled step takes any size of a dimension, except that it treats 1 as a case of its own."""
    return max(n, 2)


def bucket(n: int) -> int:
    """Round up to the next of 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ...: by less than a quarter of `n`."""
    if n <= 2 * PER_OCTAVE:
        return max(n, 2)
    step = 1 << ((n - 1).bit_length() - 3)  # a quarter of the power of two below
    return -(-n // step) * step


@dataclass(frozen=True)
class Sizing:
    """How an execution mode wants its forwards: `size` rounds queries, keys and widths up, `rows` the number of rows.

    With `uniform`, the facts that would make another step of the same sizes (empty slots, full tables) are not told apart.
    """

    size: Callable[[int], int]
    rows: Callable[[int], int]
    uniform: bool


EAGER = Sizing(exact, exact, uniform=False)
DYNAMIC = Sizing(not_one, exact, uniform=True)
BUCKETS = Sizing(bucket, lambda n: n if n == 1 else bucket(n), uniform=True)
