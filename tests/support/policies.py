"""Components for tests: caches that read the KV store, pruned contexts, odd schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dllmkit.state import Block, Row


@dataclass(frozen=True)
class RandomQuery:
    """Recompute the eligible positions and a random share of the rest; refresh every `every` steps (0: only at the start)."""

    seed: int = 0
    share: float = 0.3
    every: int = 0
    reads_cache: ClassVar[bool] = True

    def begin(self, row: Row) -> _RandomQuery:
        return _RandomQuery(self, np.random.default_rng(self.seed))


class _RandomQuery:
    def __init__(self, policy: RandomQuery, random: np.random.Generator) -> None:
        self.policy, self.random = policy, random

    def refresh_due(self, row: Row) -> bool:
        return row.step == 0 or bool(self.policy.every and row.step % self.policy.every == 0)

    def query(self, row: Row) -> np.ndarray:
        if row.refresh:
            return row.visible
        in_block = (row.visible >= row.block.start) & (row.visible < row.block.stop)
        return row.visible[in_block | (self.random.random(len(row.visible)) < self.policy.share)]


@dataclass(frozen=True)
class EverythingStored:
    """Recompute everything visible at every step, but through the KV store."""

    reads_cache: ClassVar[bool] = True

    def begin(self, row: Row) -> EverythingStored:
        return self

    def refresh_due(self, row: Row) -> bool:
        return True

    def query(self, row: Row) -> np.ndarray:
        return row.visible


@dataclass(frozen=True)
class Window:
    """See everything up to `after` positions behind the block, and the last position."""

    after: int

    def begin(self, row: Row) -> Window:
        return self

    def __call__(self, row: Row) -> np.ndarray:
        stop = min(row.block.stop + self.after, row.length)
        return np.union1d(np.arange(stop), [row.length - 1])


@dataclass(frozen=True)
class RightToLeft:
    """Blocks of 1 position, from the end: nothing in the engine may assume left to right."""

    def begin(self, row: Row) -> RightToLeft:
        return self

    def __call__(self, row: Row) -> Block:
        last = int(row.masks(row.prompt_length, row.length)[-1])
        return Block(last, last + 1)


@dataclass(frozen=True)
class EveryOther:
    """The whole generation, but only every other mask is eligible."""

    def begin(self, row: Row) -> EveryOther:
        return self

    def __call__(self, row: Row) -> Block:
        masks = row.masks(row.prompt_length, row.length)
        return Block(row.prompt_length, row.length, positions=masks[::2])
