"""The folder of an evaluation: one line per sample as it finishes, resumable, and never written again once complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.sample import Sample, Timing
from dllmkit.journal import Line, append, lock, read_object, records, rewrite, write_atomically, writing
from dllmkit.rundir import RECIPE, begin

RUN, SAMPLES, TIMINGS, SUMMARY = "evaluation.json", "samples.jsonl", "timings.jsonl", "summary.json"
_MATCH = (
    ("recipe_hash", "another recipe or other overrides"),
    ("task", "another task"),
    ("matcher", "another matcher"),
    ("task_digest", "other problems: another --limit or --seed, or the data have changed since"),
    ("weights", "another model, or the same in another dtype"),
)


@dataclass(slots=True, eq=False)
class EvaluationFolder:
    """An open folder; `samples` and `timings` have what earlier sessions finished, by index.

    Held by one process, the first of a torchrun; all of them write through `Writer`s of their own. A sample counts once its
    line is whole; its timing is on disk before that. The folder may be left at any moment, without `close`.
    """

    path: Path
    problems: Sequence[Problem]
    samples: dict[int, Sample] = field(default_factory=dict)
    timings: dict[int, Timing] = field(default_factory=dict)
    _lock: int | None = None

    @classmethod
    def open(
        cls, path: Path, identity: dict[str, Any], recipe_yaml: str, problems: Sequence[Problem], environment: dict[str, Any]
    ) -> EvaluationFolder:  # fmt: skip
        """Make the folder, or continue in it; DllmkitError if it holds an evaluation of something else.

        `identity` has recipe_hash, task, matcher, task_digest and weights.
        """
        folder = cls(path, problems)
        with writing(path, folder.close):
            path.mkdir(parents=True, exist_ok=True)
            folder._lock = lock(path)
            if begin(path, RUN, "evaluation", {**identity, "environment": environment}):
                folder._check(identity)
            if folder.summary() is None:
                write_atomically(path / RECIPE, recipe_yaml)
                folder.collect()
            else:
                folder._load()
        return folder

    @property
    def session(self) -> int:
        """The number of this session: one more than any that finished a sample."""
        return 1 + max((timing.session for timing in self.timings.values()), default=0)

    def summary(self) -> dict[str, Any] | None:
        """Return the summary of a complete evaluation, None before that; DllmkitError if its files were changed since."""
        if not (self.path / SUMMARY).exists():
            return None
        summary = read_object(self.path / SUMMARY, "a summary of dllmkit")
        for name, digest in summary.get("files", {}).items():
            if not (self.path / name).exists() or _digest(self.path / name) != digest:
                raise DllmkitError(
                    f"{self.path / name} was changed after the evaluation was complete: choose another folder for --out"
                )
        return summary

    def _check(self, identity: dict[str, Any]) -> None:
        known = read_object(self.path / RUN, "an evaluation of dllmkit")
        for key, what in _MATCH:
            if known.get(key) != identity[key]:
                raise DllmkitError(f"{self.path} holds an evaluation of {what}: choose another folder for --out")

    def collect(self, in_order: bool = False) -> None:
        """Bring what all processes wrote together in two files, without torn lines and without duplicates, and read it."""
        kept: dict[str, dict[int, Line]] = {}
        for name in (SAMPLES, TIMINGS):
            kept[name] = {}
            for path in [self.path / name, *self._parts(name)]:
                for line, record in records(path):
                    kept[name].setdefault(self._index(record, path), line)
        missing = kept[SAMPLES].keys() - kept[TIMINGS].keys()
        for name in (SAMPLES, TIMINGS):
            indices = [index for index in kept[SAMPLES] if index not in missing]
            rewrite(self.path / name, [kept[name][index] for index in (sorted(indices) if in_order else indices)])
        for name in (SAMPLES, TIMINGS):
            for part in self._parts(name):
                part.unlink()
        self._load()

    def _parts(self, name: str) -> list[Path]:
        stem, _, suffix = name.partition(".")
        return sorted(self.path.glob(f"{stem}.rank*.{suffix}"))

    def _index(self, record: dict[str, Any], path: Path) -> int:
        index = record.get("index")
        if not isinstance(index, int) or not 0 <= index < len(self.problems):
            raise DllmkitError(f"{path} has a line of no problem of this task (index {index!r}): choose another folder")
        return index

    def _load(self) -> None:
        self.samples, self.timings = {}, {}
        for _, record in records(self.path / SAMPLES):
            sample = Sample.read(record, str(self.path / SAMPLES))
            self.samples[sample.index] = sample
        for _, record in records(self.path / TIMINGS):
            timing = Timing.read(record, str(self.path / TIMINGS))
            self.timings[timing.index] = timing

    def complete(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Put the files in order, and write the summary, with their digests, for good; return it."""
        with writing(self.path):
            self.collect(in_order=True)
            whole = {**summary, "files": {name: _digest(self.path / name) for name in (RECIPE, SAMPLES, TIMINGS)}}
            write_atomically(self.path / SUMMARY, json.dumps(whole, indent=2) + "\n")
        return whole

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@dataclass(slots=True, eq=False)
class Writer:
    """The pen of one process: the first writes to the files themselves, the others to parts that are collected later."""

    path: Path
    samples: TextIO
    timings: TextIO

    @classmethod
    def open(cls, path: Path, rank: int) -> Writer:
        """Open the files of a process."""
        part = f".rank{rank}" if rank else ""
        with writing(path):
            files = [
                (path / name.replace(".", f"{part}.", 1)).open("a", encoding="utf-8") for name in (SAMPLES, TIMINGS)
            ]
        return cls(path, *files)

    def add(self, sample: Sample, timing: Timing) -> None:
        """Write a sample for good."""
        with writing(self.path):
            append(self.timings, asdict(timing))  # first: a finished sample has its timing
            append(self.samples, asdict(sample))

    def close(self) -> None:
        """Close the files."""
        with writing(self.path):
            self.samples.close()
            self.timings.close()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
