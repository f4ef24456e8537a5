"""Early exit at an end-of-sequence token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import Rule, check_parameters, param

if TYPE_CHECKING:
    from dllmkit.slots import Stop, Watch
    from dllmkit.state import Row


@dataclass(frozen=True)
class Eos:
    """Stop a row once its answer is closed by an end-of-sequence token, and fill the rest with it.

    `prefix_complete`: as soon as everything before some such token is committed; the text before it is the same as without
    the rule. `block_end`: when the block is complete and holds one; filled from the block's end (Streaming-dLLM, arXiv
    2601.17917; as released only the model's own end token counts, not the chat terminator).
    """

    rule: str = param("prefix_complete", "when to look", choices=("prefix_complete", "block_end"))
    token_ids: tuple[int, ...] | None = param(None, "tokens that end an answer; null: the model's")
    min_confidence: float = param(0.0, "an end token committed with less confidence does not count", ge=0, le=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def conflicts(self) -> tuple[Rule, ...]:
        """`block_end` needs blocks that end."""
        if self.rule != "block_end":
            return ()
        why = "rule block_end waits for a complete block, and a sliding block moves on before it is one: use prefix_complete"
        return (Rule("block_scheduler", ("sliding_block",), why),)

    def begin(self, row: Row) -> Watch:
        """Start a sequence."""
        ends = self.token_ids if self.token_ids is not None else row.request.eos_ids
        if self.rule == "block_end":
            if row.request.as_released and self.token_ids is None:
                ends = ends[:1]
            return lambda row: self._block_end(row, ends)
        return _PrefixComplete(ends, self.min_confidence)

    def _block_end(self, row: Row, ends: tuple[int, ...]) -> Stop | None:
        from dllmkit.slots import Stop

        start, stop = row.block.start, row.block.stop
        if row.first_mask < stop:  # not only the block: what comes before it is final too
            return None
        found = _first_end(row, start, stop, ends, self.min_confidence)
        return None if found is None else Stop(stop, int(row.canvas[found]), "eos")


class _PrefixComplete:
    """Looks at each position once, when the committed prefix reaches it."""

    def __init__(self, ends: tuple[int, ...], min_confidence: float) -> None:
        self._ends, self._least, self._seen = ends, min_confidence, 0

    def __call__(self, row: Row) -> Stop | None:
        from dllmkit.slots import Stop

        start, self._seen = max(self._seen, row.prompt_length), row.first_mask
        found = _first_end(row, start, row.first_mask, self._ends, self._least)
        return None if found is None else Stop(found + 1, int(row.canvas[found]), "eos")


def _first_end(row: Row, start: int, stop: int, ends: tuple[int, ...], least: float) -> int | None:
    """The first position of [start, stop) that holds an end token committed with enough confidence."""
    for position in range(start, stop):
        if row.canvas[position] in ends and row.confidence[position - row.prompt_length] >= least:
            return position
    return None
