"""Hypothesis strategies for property tests of plugins; hypothesis is needed only when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from dllmkit.models.family import SpecialTokens


def prompts(
    special: SpecialTokens, vocab: int, *, least: int = 1, most: int = 40, masks: bool = False
) -> SearchStrategy[list[int]]:
    """Prompts as token ids, `least` to `most` long, ends of sequence included; `[MASK]` only where `masks` is set."""
    from hypothesis import strategies as st

    banned = set() if masks else {special.mask_id}
    return st.lists(st.sampled_from([i for i in range(vocab) if i not in banned]), min_size=least, max_size=most)


def batches(
    special: SpecialTokens, vocab: int, *, rows: int = 4, least: int = 1, most: int = 40, masks: bool = False
) -> SearchStrategy[list[list[int]]]:
    """Ragged batches of one to `rows` prompts; equal prompts are likely, as are very different lengths."""
    from hypothesis import strategies as st

    one = prompts(special, vocab, least=least, most=most, masks=masks)
    short = prompts(special, vocab, least=least, most=least + 1, masks=masks)
    ragged = st.lists(one | short, min_size=1, max_size=rows)
    same = st.tuples(one, st.integers(1, rows)).map(lambda drawn: [list(drawn[0]) for _ in range(drawn[1])])
    return ragged | same


def gen_lengths(*, least: int = 1, most: int = 64) -> SearchStrategy[int]:
    """Generation lengths; powers of two come often, because block lengths divide them."""
    from hypothesis import strategies as st

    powers = [2**k for k in range(12) if least <= 2**k <= most] or [least]
    return st.sampled_from(powers) | st.integers(least, most)


def blocks(*, most: int = 64) -> SearchStrategy[tuple[int, int]]:
    """Pairs (gen_length, block_length) with block_length at most gen_length, dividing it or not."""
    from hypothesis import strategies as st

    def within(length: int) -> SearchStrategy[tuple[int, int]]:
        divisors = [n for n in range(1, length + 1) if length % n == 0]
        return st.tuples(st.just(length), st.sampled_from(divisors) | st.integers(1, length))

    return gen_lengths(most=most).flatmap(within)
