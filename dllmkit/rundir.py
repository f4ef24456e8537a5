"""The folder of a run: recipe, environment, results and trace, written so that an interrupted run can continue."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from dllmkit.errors import DllmkitError
from dllmkit.result import Result

RECIPE, RUN, RESULTS, TRACE, METRICS = "recipe.yaml", "run.json", "results.jsonl", "trace.jsonl", "metrics.json"


@dataclass(slots=True, eq=False)
class RunFolder:
    """An open run folder; `finished` has the results of an earlier, interrupted run of the same command, by index."""

    path: Path
    finished: dict[int, Result] = field(default_factory=dict)
    seconds: float = 0.0  # decode time of the earlier runs
    results: IO[str] | None = None
    trace: IO[str] | None = None

    @classmethod
    def open(
        cls, path: Path, recipe_hash: str, recipe_yaml: str, prompts: Sequence[Any], environment: dict[str, Any]
    ) -> RunFolder:
        """Make the folder, or continue in it; DllmkitError if it holds a run of another recipe or other prompts."""
        identity = {"recipe_hash": recipe_hash, "prompts_hash": _hash(prompts), "prompts": len(prompts)}
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RUN).exists():
                folder._continue(identity)
            else:
                if any(path.iterdir()):
                    raise DllmkitError(f"{path} is not empty and holds no run of dllmkit: choose another folder for --out")
                write_atomically(path / RECIPE, recipe_yaml)
                write_atomically(path / RUN, json.dumps({**identity, "environment": environment}, indent=2) + "\n")
            folder.results = (path / RESULTS).open("a", encoding="utf-8")
            folder.trace = (path / TRACE).open("a", encoding="utf-8")
        except OSError as error:
            raise DllmkitError(f"{path} cannot be written: {error.strerror}") from error
        return folder

    def _continue(self, identity: dict[str, Any]) -> None:
        known = _read_json(self.path / RUN)
        for key, what in (("recipe_hash", "another recipe or other overrides"), ("prompts_hash", "other prompts")):
            if known.get(key) != identity[key]:
                raise DllmkitError(f"{self.path} holds a run of {what}: choose another folder for --out")
        whole = _whole_lines(self.path / RESULTS)
        for line in whole:
            record = json.loads(line)
            self.seconds = max(self.seconds, record.pop("run_seconds"))
            self.finished[record["index"]] = Result(**record)
        write_atomically(self.path / RESULTS, "".join(whole))
        steps = [line for line in _whole_lines(self.path / TRACE) if json.loads(line)["row"] in self.finished]
        write_atomically(self.path / TRACE, "".join(steps))  # rows that were cut off start again

    def add(self, result: Result, run_seconds: float) -> None:
        """Write a result for good; `run_seconds` is the decode time of the whole run so far."""
        assert self.results is not None
        assert self.trace is not None
        self.trace.flush()  # before the result: a finished row has its whole trace
        self.results.write(json.dumps({**asdict(result), "run_seconds": run_seconds}) + "\n")
        self.results.flush()
        os.fsync(self.results.fileno())

    def close(self, metrics: dict[str, Any] | None = None) -> None:
        """Close the files; with metrics, the run is complete."""
        for file in (self.results, self.trace):
            if file is not None:
                file.close()
        if metrics is not None:
            write_atomically(self.path / METRICS, json.dumps(metrics, indent=2) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _whole_lines(path: Path) -> list[str]:
    """Lines that were written to their end; an interrupted last line is left out."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if line.endswith("}\n")]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DllmkitError(f"{path} is not a run of dllmkit: {error}") from None
    return read


def _hash(prompts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest()
