"""The answer to one request, with the counts that every metric is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """A finished row.

    `tokens` is prompt and generation; `text` is the generation up to its first end-of-sequence token, decoded (None when
    the model has no tokenizer). `commit_step` and `confidence` have one entry per generated position; a position that a
    stop rule filled in has step -1 and confidence None. `seconds` is wall time from the row's first step to its last,
    including what it shared with other rows of the batch.
    """

    index: int
    text: str | None
    tokens: list[int]
    prompt_length: int
    nfe: int
    n_committed: int  # tokens that forwards committed, also those that a stop rule then filled over
    query_lengths: list[int]
    visible_lengths: list[int]
    commit_step: list[int]
    confidence: list[float | None]
    stop_reason: str
    seconds: float
    answer_length: int  # generated tokens before the first end-of-sequence token

    @property
    def generation(self) -> list[int]:
        """The generated tokens, prompt excluded."""
        return self.tokens[self.prompt_length :]

    @property
    def query_tokens(self) -> int:
        """Positions recomputed over all forwards: the sum of |query|."""
        return sum(self.query_lengths)

    @property
    def attended(self) -> int:
        """Query-key pairs over all forwards: the sum of |query| × |visible|."""
        return sum(q * v for q, v in zip(self.query_lengths, self.visible_lengths, strict=True))
