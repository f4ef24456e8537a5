"""Which problems of a data set are taken."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def draw(items: Sequence[T], limit: int | None, seed: int) -> list[T]:
    """Take `limit` of the items, drawn by the seed and kept in their order; all of them without a limit."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i] for i in sorted(Random(f"choice/{seed}").sample(range(len(items)), limit))]
