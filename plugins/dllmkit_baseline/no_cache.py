"""No cache: every visible position is recomputed at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dllmkit.slots import Cache
    from dllmkit.state import Positions, Row


@dataclass(frozen=True)
class NoCache:
    """Recompute everything visible at every step; no KV store is allocated."""

    reads_cache: ClassVar[bool] = False

    def begin(self, row: Row) -> Cache:
        """Start a sequence."""
        return _Everything()


class _Everything:
    def refresh_due(self, row: Row) -> bool:
        return True

    def query(self, row: Row) -> Positions:
        return row.visible
