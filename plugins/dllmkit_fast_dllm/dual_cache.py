"""Fast-dLLM's dual cache: keys and values before and behind the block are kept, the block is recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dllmkit.parameters import Rule

if TYPE_CHECKING:
    from dllmkit.slots import Cache
    from dllmkit.state import Positions, Row
    from dllmkit_fast_dllm.refresh import EachBlock


@dataclass(frozen=True)
class DualCache:
    """Recompute everything visible at the first step of a block, then only the block.

    Source: Fast-dLLM (arXiv 2505.22618), NVlabs/Fast-dLLM llada/generate.py `generate_with_dual_cache`. Not reproduced: its
    forward on a block that the refresh has finished.
    """

    reads_cache: ClassVar[bool] = True
    conflicts: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "block_scheduler",
            ("sliding_block",),
            "it refreshes at every new block, and a sliding block is new at every step",
        ),
    )

    def begin(self, row: Row) -> Cache:
        """Start a sequence."""
        from dllmkit_fast_dllm.refresh import EachBlock

        return _TheBlock(EachBlock())


class _TheBlock:
    def __init__(self, refresh: EachBlock) -> None:
        from dllmkit.slots import first_at_a_refresh

        self.refresh_due, self.narrow = refresh.due, first_at_a_refresh

    def query(self, row: Row) -> Positions:
        seen, block = row.visible, row.block
        return seen if row.refresh else seen[(seen >= block.start) & (seen < block.stop)]
