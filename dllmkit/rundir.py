"""The folder of a run: recipe, environment, results and trace, written so that an interrupted run can continue."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dllmkit.errors import DllmkitError
from dllmkit.result import Result

RECIPE, RUN, RESULTS, TRACE, METRICS = "recipe.yaml", "run.json", "results.jsonl", "trace.jsonl", "metrics.json"
_PARTIAL = ".partial"


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
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._lock = _lock(path)
            if (path / RUN).exists():
                folder._continue({**identity, "weights": environment.get("weights")})
            else:
                if any(file.suffix != _PARTIAL for file in path.iterdir()):
                    raise DllmkitError(
                        f"{path} is not empty and holds no run of dllmkit: choose another folder for --out"
                    )
                write_atomically(path / RUN, json.dumps({**identity, "environment": environment}, indent=2) + "\n")
            write_atomically(path / RECIPE, recipe_yaml)
            for name in (RESULTS, TRACE):
                folder._files[name] = (path / name).open("a", encoding="utf-8")
        except OSError as error:
            folder.close()
            raise DllmkitError(f"{path} cannot be written: {error.strerror}") from error
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def trace(self) -> TextIO:
        """Where the trace is written."""
        return self._files[TRACE]

    def _continue(self, identity: dict[str, Any]) -> None:
        known = _read_run(self.path / RUN)
        known["weights"] = (known.get("environment") or {}).get("weights")
        for key, what in (
            ("recipe_hash", "another recipe or other overrides"),
            ("prompts_hash", "other prompts"),
            ("weights", "another model, or the same in another dtype"),
        ):
            if known.get(key) != identity[key]:
                raise DllmkitError(f"{self.path} holds a run of {what}: choose another folder for --out")
        for _, record in _records(self.path / RESULTS):
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
            kept = [(record[key], span) for span, record in _records(path) if record[key] in self.finished]
            if in_order:
                kept.sort(key=lambda line: line[0])  # stable: the steps of a row stay in order
            partial = path.with_name(name + _PARTIAL)
            with partial.open("wb") as target:
                if kept:
                    with path.open("rb") as source:
                        for _, (start, length) in kept:
                            source.seek(start)
                            target.write(source.read(length))
                _sync(target.fileno())
            partial.replace(path)

    def add(self, result: Result, run_seconds: float) -> None:
        """Write a result for good; `run_seconds` is the decode time of the whole run so far."""
        line = json.dumps({**asdict(result), "run_seconds": run_seconds}) + "\n"
        try:
            for name, text in ((TRACE, ""), (RESULTS, line)):  # the trace first: a finished row has all of its own
                file = self._files[name]
                file.write(text)
                file.flush()
                _sync(file.fileno())
        except OSError as error:
            raise DllmkitError(f"{self.path} cannot be written: {error.strerror}") from error
        self.finished[result.index] = result

    def close(self, metrics: dict[str, Any] | None = None) -> None:
        """Close the files; with metrics the run is complete, and results and trace are put in order."""
        try:
            while self._files:
                self._files.popitem()[1].close()
            if metrics is not None:
                self._keep_finished(in_order=True)
                write_atomically(self.path / METRICS, json.dumps(metrics, indent=2) + "\n")
        except OSError as error:
            raise DllmkitError(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    partial = path.with_name(path.name + _PARTIAL)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        _sync(file.fileno())
    partial.replace(path)


def _sync(file: int) -> None:
    with suppress(OSError):  # a file system without fsync
        os.fsync(file)


def _lock(path: Path) -> int | None:
    """Hold the folder for this process, where the system can; it is released when the process ends in any way."""
    try:
        import fcntl
    except ImportError:
        return None
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise DllmkitError(
            f"{path} is being written by another dllmkit run: wait for it, or choose another folder"
        ) from None
    except OSError:  # a file system without locks
        pass
    return folder


def _records(path: Path) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """Yield (start, length) and content of each whole line; a torn last line, where a process was killed, is left out."""
    if not path.exists():
        return
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError:
                raise DllmkitError(f"{path}, line {number} is damaged: choose another folder for --out") from None
            yield (start, len(line)), record
            start += len(line)


def _read_run(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(read, dict):
            return read
        problem = "expected a JSON object"
    except ValueError as error:
        problem = str(error)
    raise DllmkitError(f"{path} is not a run of dllmkit: {problem}")


def _hash(prompts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest()
