"""A block scheduler of one's own: from both ends of the generation towards the middle, left and right in turn."""

from __future__ import annotations

from dataclasses import dataclass

from dllmkit.hookspecs import hookimpl
from dllmkit.parameters import check_parameters, param


@dataclass(frozen=True)
class Zigzag:
    """Commit within the first incomplete block of: leftmost, rightmost, second from the left, second from the right, ..."""

    block_length: int = param(32, "positions of a block", ge=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    def begin(self, row):
        """Start a sequence: lay the blocks out and put them in order."""
        from dllmkit.state import Block  # imports numpy: not while plugins are only listed

        starts = range(row.prompt_length, row.length, self.block_length)
        blocks = [Block(start, min(start + self.block_length, row.length)) for start in starts]
        order = [blocks.pop(0 if turn % 2 == 0 else -1) for turn in range(len(blocks))]
        # An unfinished row has a mask in some block, so there always is a next one.
        return lambda row: next(b for b in order if not row.committed[b.start : b.stop].all())


@hookimpl
def dllmkit_block_schedulers():
    """Register the scheduler; the string keeps listing plugins fast in packages that import much."""
    return {"zigzag": "dllmkit_zigzag:Zigzag"}
