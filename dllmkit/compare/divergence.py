"""Where two decodes of the same prompt part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dllmkit.result import Result


@dataclass(frozen=True, slots=True)
class Place:
    """A generated position that two decodes decided differently; each pair is (first decode, second decode).

    `position` counts from the end of the prompt. A step of -1 says that a stop rule filled the position in.
    """

    position: int
    tokens: tuple[int, int]
    steps: tuple[int, int]
    confidence: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Divergence:
    """How two decodes of one prompt differ.

    `step` is the first step at which they do not commit the same tokens at the same positions, None if there is none.
    `in_text` is the first position of the answers with different tokens, `in_time` the one that the second decode committed
    first: both None where the answers are the same. Tokens behind the first end-of-sequence token are no part of an answer.
    """

    step: int | None
    in_text: Place | None
    in_time: Place | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def diverge(first: Result, second: Result) -> Divergence:
    """Compare two results of the same prompt and tokenizer; their canvases may differ in length."""
    length = max(first.answer_length, second.answer_length) + 1  # with the end-of-sequence token
    common = min(length, len(first.generation), len(second.generation))
    differing = [p for p in range(common) if first.generation[p] != second.generation[p]]
    if not differing:
        return Divergence(_first_step(first, second), None, None)
    order = second.commit_step
    in_time = min(differing, key=lambda p: (order[p] < 0, order[p], p))  # what was filled in comes last
    return Divergence(_first_step(first, second), _place(first, second, differing[0]), _place(first, second, in_time))


def _place(first: Result, second: Result, position: int) -> Place:
    return Place(
        position,
        (first.generation[position], second.generation[position]),
        (first.commit_step[position], second.commit_step[position]),
        (first.confidence[position], second.confidence[position]),
    )


def _first_step(first: Result, second: Result) -> int | None:
    """The first step with different commits: the earliest step of anything that only one of them did."""
    differing = _commits(first) ^ _commits(second)
    return min((step for step, _, _ in differing), default=None)


def _commits(result: Result) -> set[tuple[int, int, int]]:
    """Step, position and token of each commit."""
    pairs = zip(result.commit_step, result.generation, strict=True)
    return {(step, position, token) for position, (step, token) in enumerate(pairs) if step >= 0}
