"""Short ways to compare decodes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from dllmkit.state import Row


def outcome(row: Row) -> tuple[list[int], int, list[int], list[int]]:
    """What must agree exactly: tokens, forwards, their sizes, and the step of each commit."""
    return row.canvas.tolist(), row.nfe, list(row.query_lengths), row.commit_step.tolist()


def outcomes(rows: Sequence[Row]) -> list[tuple[list[int], int, list[int], list[int]]]:
    """`outcome` of each row."""
    return [outcome(row) for row in rows]


def prompts(vocabulary: int = 24, most: int = 4, longest: int = 9) -> st.SearchStrategy[list[list[int]]]:
    """Ragged prompts; they may contain the mask token (the last id)."""
    return st.lists(st.lists(st.integers(0, vocabulary - 1), min_size=1, max_size=longest), min_size=1, max_size=most)
