"""A judged answer, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.problem import Problem
from dllmkit.result import Result


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem's answer with its verdict and its counts, named as the sheet of metrics names them.

    Nothing in it depends on the clock, the batch or the number of processes. `text` and `generation` are the answer, the
    latter as token ids with all that follows its end; `commit_step` has the step that committed each of them, -1 where a
    stop rule filled in.
    """

    index: int
    id: str
    kind: str
    correct: bool
    text: str
    prompt_tokens: int
    nfe: int
    query_tokens: int
    attended: int
    tokens: int
    answer_tokens: int
    tpf: float
    tpf_answer: float
    stop_reason: str
    generation: list[int]
    commit_step: list[int]

    @classmethod
    def of(cls, result: Result, problem: Problem, text: str, correct: bool) -> Sample:
        """Take what is kept of a result; `text` is what was judged."""
        return cls(
            result.index, problem.id, problem.kind, correct, text, result.prompt_length, result.nfe,
            result.query_tokens, result.attended, result.n_committed, result.answer_length,
            result.n_committed / result.nfe, result.answer_length / result.nfe, result.stop_reason, result.generation,
            result.commit_step,
        )  # fmt: skip

    @classmethod
    def read(cls, record: dict[str, Any], where: str) -> Sample:
        """Read one back; DllmkitError if it was written by another version."""
        try:
            return cls(**record)
        except TypeError as error:
            raise DllmkitError(f"{where} was not written by this version of dllmkit: {error}") from None

    @property
    def n_committed(self) -> int:
        """Tokens that forwards committed, as in a Result."""
        return self.tokens

    @property
    def answer_length(self) -> int:
        """Tokens before the first end-of-sequence token, as in a Result."""
        return self.answer_tokens


@dataclass(frozen=True, slots=True)
class Timing:
    """When a sample was finished: `seconds` from its first step to its last, `run_seconds` since its process began to decode.

    `session` counts the starts of the command, `rank` its processes.
    """

    index: int
    seconds: float
    run_seconds: float
    session: int
    rank: int

    @classmethod
    def read(cls, record: dict[str, Any], where: str) -> Timing:
        """Read one back; DllmkitError if it was written by another version."""
        try:
            return cls(**record)
        except TypeError as error:
            raise DllmkitError(f"{where} was not written by this version of dllmkit: {error}") from None


def decode_seconds(timings: Iterable[Timing]) -> float | None:
    """Wall time of decoding: of each session its slowest process, up to its last finished sample; None if nothing ran."""
    slowest: dict[int, float] = {}
    for timing in timings:
        slowest[timing.session] = max(slowest.get(timing.session, 0.0), timing.run_seconds)
    return sum(slowest.values()) if slowest else None
