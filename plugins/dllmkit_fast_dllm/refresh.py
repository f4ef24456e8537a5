"""When Fast-dLLM's caches are refreshed: at the first step of every block."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dllmkit.state import Positions, Row


class EachBlock:
    """Remembers the block of the last refresh."""

    def __init__(self) -> None:
        self._block: tuple[int, int] | None = None

    def due(self, row: Row) -> bool:
        """Say whether the row has entered another block since the last refresh."""
        last, self._block = self._block, (row.block.start, row.block.stop)
        return last != self._block

    @staticmethod
    def narrow(row: Row, eligible: Positions) -> Positions:
        """What this step may commit. As released, a shifted model's refresh commits the first mask and nothing else.

        Its later queries begin at the block, whose first position then has no row that predicts it; the engine adds that
        row, so by default every step commits what the selector chooses.
        """
        forced = row.refresh and row.request.as_released and row.request.shift > 0
        return eligible[:1] if forced else eligible
