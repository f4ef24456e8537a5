"""A block scheduler that commits positions far from each other first."""

from dataclasses import dataclass

from dllmkit import hookimpl
from dllmkit.parameters import check_parameters, param


@dataclass(frozen=True)
class Dilated:
    """Commit every `stride`-th position of a block first, then those behind them, and so on."""

    block_length: int = param(32, "positions of a block", ge=1)
    stride: int = param(4, "distance between positions that may be committed together", ge=1)

    def __post_init__(self):
        check_parameters(self)

    def begin(self, row):
        return self.block  # no state: every step is computed from the row

    def block(self, row):
        from dllmkit.state import Block  # here, so that listing plugins imports no numpy

        done = (row.first_mask - row.prompt_length) // self.block_length
        start = row.prompt_length + done * self.block_length
        stop = min(start + self.block_length, row.length)
        masks = row.masks(start, stop)
        phase = (masks - start) % self.stride
        return Block(start, stop, positions=masks[phase == phase.min()])


@hookimpl
def dllmkit_block_schedulers():
    return {"dilated": Dilated}
