"""A block that slides: its start follows the first mask, its end the number of commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.errors import ParameterError
from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    from dllmkit.slots import Schedule
    from dllmkit.state import Block, Row


@dataclass(frozen=True)
class SlidingBlock:
    """Commit within [s, e): s is the first mask, e = P + B + U for block length B and U commits so far.

    Uncapped ("greedy") there are always B masks in the block, until it meets the end. `max_block_length` caps its span at
    s + max; equal to B ("const") the span is constant. Models like to fill the far end of the block with end-of-sequence
    tokens, and each of these pushes the block further; `eos_freeze`, which is not part of DSB, ends it there. Source: DSB
    (arXiv 2602.05992), lizhuo-luo/DSB llada/generate.py `generate_dsb`.
    """

    block_length: int = param(32, "masks in the block", ge=1)
    max_block_length: int | None = param(None, "longest span of the block; null: no limit", ge=1)
    eos_freeze: bool = param(False, "do not slide beyond an end-of-sequence token while masks before it are left")

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.max_block_length is not None and self.max_block_length < self.block_length:
            raise ParameterError(
                [
                    f"max_block_length = {self.max_block_length}, expected at least block_length = {self.block_length}, or null"
                ]
            )

    def begin(self, row: Row) -> Schedule:
        """Start a sequence; the schedule keeps no state."""
        return self._block

    def _block(self, row: Row) -> Block:
        from dllmkit.state import Block, Span

        stop = min(row.prompt_length + self.block_length + row.n_committed, row.length)
        if self.max_block_length is not None:
            stop = min(stop, row.first_mask + self.max_block_length)
        if self.eos_freeze:
            stop = next(
                (p for p in range(row.first_mask, stop) if row.committed[p] and row.canvas[p] in row.request.eos_ids),
                stop,
            )
        return Block(row.first_mask, stop, stage=Span(row.prompt_length, row.length))
