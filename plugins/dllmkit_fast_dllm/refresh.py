"""When Fast-dLLM's caches are refreshed: at the first step of every block."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dllmkit.state import Row


class EachBlock:
    """Remembers the block of the last refresh."""

    def __init__(self) -> None:
        self._block: tuple[int, int] | None = None

    def due(self, row: Row) -> bool:
        """Say whether the row has entered another block since the last refresh."""
        last, self._block = self._block, (row.block.start, row.block.stop)
        return last != self._block
