"""Fixed blocks, decoded left to right (semi-autoregressive)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    from dllmkit.slots import Schedule
    from dllmkit.state import Block, Row


@dataclass(frozen=True)
class FixedBlocks:
    """Commit within the leftmost incomplete block of a fixed grid.

    Blocks are [P + k B, P + (k + 1) B) for prompt length P and block length B; the last one is shorter when B does not
    divide the generation length. Source: LLaDA (arXiv 2502.09992), ML-GSAI/LLaDA generate.py.
    """

    block_length: int = param(32, "positions of a block", ge=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    def begin(self, row: Row) -> Schedule:
        """Start a sequence; the schedule keeps no state."""
        return self._block

    def _block(self, row: Row) -> Block:
        from dllmkit.state import Block

        done = (row.first_mask - row.prompt_length) // self.block_length
        start = row.prompt_length + done * self.block_length
        return Block(start, min(start + self.block_length, row.length))
