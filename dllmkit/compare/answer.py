"""One answer of a comparison, as its file keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dllmkit.result import Result


@dataclass(frozen=True, slots=True)
class Answer:
    """A recipe's answer to one problem; `result.index` is the problem's place in the task.

    `seconds` is decode wall time since the answer before it, so that the sum over a recipe's answers is its decode time.
    """

    contender: int
    right: bool
    seconds: float
    result: Result

    @property
    def key(self) -> tuple[int, int]:
        """Which recipe, which problem."""
        return self.contender, self.result.index

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def read(cls, record: dict[str, Any]) -> Answer:
        """Read what `as_dict` wrote; KeyError or TypeError for anything else."""
        return cls(record["contender"], record["right"], record["seconds"], Result(**record["result"]))
