"""One job of a sweep: a recipe on a task, in a folder of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dllmkit.compare.answer import Answer
from dllmkit.compare.folder import ANSWERS, SCHEMA, read_results
from dllmkit.evaluation.task import Task
from dllmkit.journal import write_atomically, writing

RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a worker needs; it can be sent to another machine."""

    index: int
    label: str
    recipe: str  # resolved, as YAML
    recipe_hash: str
    task: Task
    folder: Path

    @property
    def result(self) -> dict[str, Any] | None:
        """The job's result, None until it is finished."""
        return read_results(self.folder / RESULT)

    @property
    def answers(self) -> list[Answer]:
        """The answers of a finished job, in the order of the problems."""
        result = self.result
        assert result is not None
        answers = [Answer.read(record) for record in result["answers"]]
        return sorted(answers, key=lambda answer: answer.key)

    def finish(self, record: dict[str, Any]) -> None:
        """Write the result for good, which makes the job finished; what the worker noted on its way is no longer needed."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / RESULT, json.dumps({"schema": SCHEMA, **record}) + "\n")
            (self.folder / ANSWERS).unlink(missing_ok=True)
