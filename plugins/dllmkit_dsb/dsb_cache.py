"""The cache that goes with a sliding block: the block and a window before it are recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    from dllmkit.slots import Cache
    from dllmkit.state import Positions, Row


@dataclass(frozen=True)
class DsbCache:
    """Recompute [s - w, e + suffix_window) of a block [s, e), and everything visible once enough was committed.

    w is `prefix_window`, or as far as s has just moved if that is more, so that each position is recomputed at least once
    after its commit. Source: DSB (arXiv 2602.05992), lizhuo-luo/DSB llada/generate.py `generate_dsb_cache`. As released, a
    shifted model commits nothing but the first mask at a refresh. The released code makes the suffix window eligible by
    mistake; that is not reproduced.
    """

    prefix_window: int = param(24, "positions before the block that are recomputed", ge=0)
    suffix_window: int = param(0, "positions behind the block that are recomputed", ge=0)
    refresh_every_commits: int | None = param(None, "commits between refreshes; null: the block length", ge=1)
    reads_cache: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_parameters(self)

    def begin(self, row: Row) -> Cache:
        """Start a sequence."""
        return _Window(self)


class _Window:
    def __init__(self, policy: DsbCache) -> None:
        self._policy = policy
        self._every = policy.refresh_every_commits
        self._before: int | None = None  # commits when the last refresh began
        self._start = self._advance = 0

    def refresh_due(self, row: Row) -> bool:
        if self._every is None:
            self._every = row.block.stop - row.block.start  # the first block holds nothing but masks
        self._advance, self._start = row.block.start - self._start, row.block.start
        due = self._before is None or row.n_committed - self._before >= self._every
        if due:
            self._before = row.n_committed
        return due

    def query(self, row: Row) -> Positions:
        import numpy as np

        if row.refresh:
            return row.visible
        start = row.block.start - max(self._advance, self._policy.prefix_window)
        stop = row.block.stop + self._policy.suffix_window
        inside = (row.visible >= start) & (row.visible < stop)
        return row.visible[inside | np.isin(row.visible, row.last_commit)]  # a block that shrank has left some behind

    def narrow(self, row: Row, eligible: Positions) -> Positions:
        from dllmkit.slots import first_at_a_refresh

        return first_at_a_refresh(row, eligible)
