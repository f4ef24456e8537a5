"""The folder of a comparison: what is compared, every answer when it is finished, and the results when all are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dllmkit.compare.answer import Answer
from dllmkit.errors import DllmkitError
from dllmkit.journal import append, lock, read_object, records, rewrite, write_atomically, writing
from dllmkit.rundir import begin

SCHEMA = 1  # version of results.json and of the results of jobs
RUN, ANSWERS, RESULTS, REPORT = "run.json", "answers.jsonl", "results.json", "report.html"

CHANGED = {
    "kind": "something else",
    "task": "other problems: the task, its data or matcher, --limit or --seed is not what it was",
    "recipes": "other recipes, or the same with other values",
    "grid": "another grid",
    "weights": "another model, or the same in another dtype",
}
"""What it means that a part of the identity of a folder has changed."""


@dataclass(slots=True, eq=False)
class CompareFolder:
    """An open folder; `answers` has what earlier, interrupted runs of the same command finished.

    An answer counts once its line is whole. The process may end at any moment, without `close`. One writer at a time.
    """

    path: Path
    identity: dict[str, Any]
    answers: dict[tuple[int, int], Answer] = field(default_factory=dict)
    environments: list[dict[str, Any]] = field(default_factory=list)
    _file: TextIO | None = None
    _lock: int | None = None

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> CompareFolder:
        """Make the folder, or continue in it; DllmkitError if it holds something of another identity (see CHANGED)."""
        folder = cls(path, identity)
        with writing(path, folder.close):
            path.mkdir(parents=True, exist_ok=True)
            folder._lock = lock(path)
            if begin(path, RUN, "comparison or sweep", {**identity, "environments": []}):
                folder._continue()
        return folder

    @property
    def results(self) -> dict[str, Any] | None:
        """The results, None as long as the comparison is not complete."""
        return read_results(self.path / RESULTS)

    def started(self, weights: Sequence[str], environments: Sequence[dict[str, Any]]) -> None:
        """Note the models that are loaded, and where; DllmkitError if they are not those of the earlier runs."""
        held = self.identity.setdefault("weights", list(weights))
        if held != list(weights):
            raise DllmkitError(self._refusal("weights"))
        for environment in environments:
            if environment not in self.environments:
                self.environments.append(environment)
        with writing(self.path):
            self._describe()

    def add(self, answer: Answer) -> None:
        """Write an answer for good."""
        with writing(self.path):
            if self._file is None:
                self._file = (self.path / ANSWERS).open("a", encoding="utf-8")
            append(self._file, answer.as_dict())
        self.answers[answer.key] = answer

    def complete(self, results: dict[str, Any]) -> None:
        """Put the answers in order and write the results, which makes the folder complete."""
        with writing(self.path):
            self._close_file()
            path = self.path / ANSWERS
            if path.exists():
                lines = {Answer.read(record).key: line for line, record in records(path)}
                rewrite(path, [lines[key] for key in sorted(lines)])
            write_atomically(self.path / RESULTS, json.dumps(results) + "\n")

    def close(self) -> None:
        """Close the files and let others write."""
        self._close_file()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _continue(self) -> None:
        known = read_object(self.path / RUN, "a run of dllmkit")
        for key, value in self.identity.items():
            if known.get(key) != value:
                raise DllmkitError(self._refusal(key))
        self.environments = known.pop("environments", [])
        self.identity = known
        lines = {}
        for line, record in records(self.path / ANSWERS):
            try:
                answer = Answer.read(record)
            except (KeyError, TypeError) as error:
                raise DllmkitError(
                    f"{self.path / ANSWERS} was not written by this version of dllmkit: {error}"
                ) from None
            if answer.key not in self.answers:
                self.answers[answer.key], lines[answer.key] = answer, line
        if (self.path / ANSWERS).exists() and not (self.path / RESULTS).exists():
            rewrite(self.path / ANSWERS, lines.values())  # without a line that was cut off

    def _refusal(self, key: str) -> str:
        return f"{self.path} holds a run of {CHANGED.get(key, f'another {key}')}: choose another folder for --out"

    def _describe(self) -> None:
        described = {**self.identity, "environments": self.environments}
        write_atomically(self.path / RUN, json.dumps(described, indent=2) + "\n")

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_results(path: Path) -> dict[str, Any] | None:
    """Read results, None if there are none yet; DllmkitError if another version of dllmkit wrote them."""
    if not path.exists():
        return None
    results = read_object(path, "a file of results")
    if results.get("schema") != SCHEMA:
        raise DllmkitError(
            f"{path} has schema {results.get('schema')}, expected {SCHEMA}: choose another folder for --out"
        )
    return results
