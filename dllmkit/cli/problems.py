"""The problems that a command is asked to decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dllmkit.evaluation.task import Task


@dataclass(frozen=True, slots=True)
class Problems:
    """The options that choose a task."""

    task: str
    limit: int | None = None
    seed: int = 0
    matcher: str | None = None
    execute_code: bool = False

    def load(self) -> Task:
        """Load the task; DllmkitError says what is wrong with it."""
        from dllmkit.evaluation.task import load_task

        return load_task(
            self.task, limit=self.limit, seed=self.seed, matcher=self.matcher, execute_code=self.execute_code
        )
