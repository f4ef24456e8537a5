"""The folder of a run: recipe, environment, results and trace, written so that an interrupted run can continue."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dllmkit.errors import DllmkitError
from dllmkit.journal import PARTIAL, append, flush, lock, read_object, records, rewrite, write_atomically, writing
from dllmkit.result import Result

__all__ = ["METRICS", "RECIPE", "RESULTS", "RUN", "TRACE", "RunFolder", "write_atomically"]

RECIPE, RUN, RESULTS, TRACE, METRICS = "recipe.yaml", "run.json", "results.jsonl", "trace.jsonl", "metrics.json"


@dataclass(slots=True, eq=False)
class RunFolder:
    """An open run folder; `finished` has the results of an earlier, interrupted run of the same command, by index.

    A result counts once its line is whole in results.jsonl; its trace is on disk before that. The folder may be left at any
    moment, without `close`. One process at a time.
    """

    path: Path
    finished: dict[int, Result] = field(default_factory=dict)
    seconds: float = 0.0  # decode time of the earlier runs, each up to its last finished result
    _files: dict[str, TextIO] = field(default_factory=dict)
    _lock: int | None = None

    @classmethod
    def open(
        cls, path: Path, recipe_hash: str, recipe_yaml: str, prompts: Sequence[Any], environment: dict[str, Any]
    ) -> RunFolder:
        """Make the folder, or continue in it; DllmkitError if it holds a run of something else.

        `environment` describes the machine and, as "weights", the model.
        """
        identity = {"recipe_hash": recipe_hash, "prompts_hash": _hash(prompts), "prompts": len(prompts)}
        folder = cls(path)
        with writing(path, folder.close):
            path.mkdir(parents=True, exist_ok=True)
            folder._lock = lock(path)
            if begin(path, RUN, "run", {**identity, "environment": environment}):
                folder._continue({**identity, "weights": environment.get("weights")})
            write_atomically(path / RECIPE, recipe_yaml)
            for name in (RESULTS, TRACE):
                folder._files[name] = (path / name).open("a", encoding="utf-8")
        return folder

    @property
    def trace(self) -> TextIO:
        """Where the trace is written."""
        return self._files[TRACE]

    def _continue(self, identity: dict[str, Any]) -> None:
        known = read_object(self.path / RUN, "a run of dllmkit")
        known["weights"] = (known.get("environment") or {}).get("weights")
        for key, what in (
            ("recipe_hash", "another recipe or other overrides"),
            ("prompts_hash", "other prompts, or their file has changed since"),
            ("weights", "another model, or the same in another dtype"),
        ):
            if known.get(key) != identity[key]:
                raise DllmkitError(f"{self.path} holds a run of {what}: choose another folder for --out")
        for _, record in records(self.path / RESULTS):
            try:
                self.seconds = max(self.seconds, record.pop("run_seconds"))
                self.finished[record["index"]] = Result(**record)
            except (KeyError, TypeError) as error:
                raise DllmkitError(
                    f"{self.path / RESULTS} was not written by this version of dllmkit: {error}"
                ) from None
        self._keep_finished()

    def _keep_finished(self, in_order: bool = False) -> None:
        """Rewrite results and trace without torn lines and without rows that were cut off, which start again.

        `in_order` sorts the lines by row, so that neither batch nor interruptions change the files.
        """
        for name, key in ((RESULTS, "index"), (TRACE, "row")):
            path = self.path / name
            kept = [(record[key], line) for line, record in records(path) if record[key] in self.finished]
            if in_order:
                kept.sort(key=lambda one: one[0])  # stable: the steps of a row stay in order
            rewrite(path, [line for _, line in kept])

    def add(self, result: Result, run_seconds: float) -> None:
        """Write a result for good; `run_seconds` is the decode time of the whole run so far."""
        with writing(self.path):
            flush(self._files[TRACE])  # the trace first: a finished row has all of its own
            append(self._files[RESULTS], {**asdict(result), "run_seconds": run_seconds})
        self.finished[result.index] = result

    def close(self, metrics: dict[str, Any] | None = None) -> None:
        """Close the files; with metrics the run is complete, and results and trace are put in order."""
        try:
            with writing(self.path):
                while self._files:
                    self._files.popitem()[1].close()
                if metrics is not None:
                    self._keep_finished(in_order=True)
                    write_atomically(self.path / METRICS, json.dumps(metrics, indent=2) + "\n")
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def begin(path: Path, name: str, what: str, described: dict[str, Any]) -> bool:
    """Describe what a folder is for in its file `name`; True if the file is there already, and maybe for something else.

    Raises DllmkitError, which says that the folder is no `what`, if it holds other files.
    """
    if (path / name).exists():
        return True
    if any(file.suffix != PARTIAL for file in path.iterdir()):
        raise DllmkitError(f"{path} is not empty and holds no {what} of dllmkit: choose another folder for --out")
    write_atomically(path / name, json.dumps(described, indent=2) + "\n")
    return False


def _hash(prompts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest()
