"""The sliding block's own option: it does not slide past an end that was committed early."""

from __future__ import annotations

import numpy as np

from dllmkit.state import Request, Row
from dllmkit_dsb.sliding_block import SlidingBlock

END = 7


def row(**commits: int) -> Row:
    one = Row(Request(0, (1, END), 20, 9, eos_ids=(END,)))
    for position, token in commits.items():
        one.commit(np.array([int(position[1:])]), np.array([token]), np.array([0.5]))
    return one


def span(freeze: bool, one: Row, **given: int) -> tuple[int, int]:
    block = SlidingBlock(4, eos_freeze=freeze, **given).begin(one)(one)
    return block.start, block.stop


def test_the_block_ends_at_the_first_early_end():
    assert span(True, row(p5=END)) == (2, 5)
    assert span(False, row(p5=END)) == (2, 7)
    assert span(True, row(p3=5, p4=END, p5=END)) == (2, 4)
    assert span(True, row(p2=5, p3=END), max_block_length=4) == (4, 8)  # behind it there is nothing to wait for
    assert span(True, row()) == (2, 6)  # the prompt's end token does not count
