"""A record of every step of a decode, written as it goes, read back and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from dllmkit.errors import DllmkitError
from dllmkit.result import Result
from dllmkit.state import Positions
from dllmkit.step import StepRecord

SCHEMA = 1  # version of the lines written by `step_line` and `result_line`


@dataclass(slots=True, eq=False)
class Trace:
    """Keeps what happened: the steps of every row, and the results. Pass it as an observer.

    With `file`, an open text file, each step and result is also written there as one JSON line when it happens.
    """

    steps: list[StepRecord] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    file: IO[str] | None = None
    keep: bool = True

    def on_step(self, step: StepRecord) -> None:
        """Record a step."""
        if self.keep:
            self.steps.append(step)
        self._write(step_line(step))

    def on_result(self, result: Result) -> None:
        """Record the final canvas, which a stop rule may have filled."""
        line = result_line(result)
        if self.keep:
            self.results.append(line)
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        if self.file is not None:
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read a trace file; DllmkitError names the line that is not one of a trace."""
        trace = cls()
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                    if line["schema"] != SCHEMA:
                        raise ValueError(f"schema {line['schema']}, expected {SCHEMA}")
                    if line["kind"] == "step":
                        trace.steps.append(_read_step(line))
                    else:
                        trace.results.append(line)
                except (ValueError, KeyError, TypeError) as error:
                    raise DllmkitError(f"{path}, line {number} is not a line of a trace: {error}") from error
        return trace

    def rows(self) -> list[int]:
        """The rows that the trace knows, by request index."""
        return sorted({step.row for step in self.steps})

    def of(self, row: int) -> list[StepRecord]:
        """The steps of one row, in order."""
        return [step for step in self.steps if step.row == row]

    def replay(self, row: int) -> Iterator[np.ndarray]:
        """Rebuild the canvas [length] of one row from its commits alone: before the first step, then after each.

        If a stop rule filled the tail, the last canvas is the filled one.
        Raises DllmkitError where the commits do not lead to the recorded canvas.
        """
        steps = self.of(row)
        if not steps:
            raise DllmkitError(f"the trace has no row {row}; it has {self.rows()}")
        canvas = steps[0].canvas.copy()
        canvas[steps[0].chosen] = steps[0].mask_id
        yield canvas.copy()
        for step in steps:
            canvas[step.chosen] = step.tokens
            if not np.array_equal(canvas, step.canvas):
                wrong = np.flatnonzero(canvas != step.canvas).tolist()
                raise DllmkitError(
                    f"row {row}, step {step.step}: commits do not lead to the canvas at positions {wrong}"
                )
            yield canvas.copy()
        for result in self.results:
            if result["row"] == row and result["tokens"] != canvas.tolist():
                yield np.array(result["tokens"], dtype=np.int64)


def step_line(step: StepRecord) -> dict[str, Any]:
    """Turn a step into plain data; sets of positions become runs [start, stop)."""
    return {
        "schema": SCHEMA, "kind": "step", "row": step.row, "step": step.step, "block": list(step.block),
        "refresh": step.refresh, "visible": to_runs(step.visible), "query": to_runs(step.query),
        "eligible": to_runs(step.eligible), "chosen": step.chosen.tolist(), "tokens": step.tokens.tolist(),
        "confidence": step.confidence.tolist(), "canvas": step.canvas.tolist(), "prompt_length": step.prompt_length,
        "mask_id": step.mask_id, "finished": step.finished, "stop_reason": step.stop_reason,
    }  # fmt: skip


def result_line(result: Result) -> dict[str, Any]:
    """Turn the outcome of a row into plain data."""
    return {
        "schema": SCHEMA, "kind": "result", "row": result.index, "tokens": result.tokens, "text": result.text,
        "prompt_length": result.prompt_length, "nfe": result.nfe, "stop_reason": result.stop_reason,
    }  # fmt: skip


def _read_step(line: dict[str, Any]) -> StepRecord:
    return StepRecord(
        row=line["row"], step=line["step"], block=(line["block"][0], line["block"][1]), refresh=line["refresh"],
        visible=from_runs(line["visible"]), query=from_runs(line["query"]), eligible=from_runs(line["eligible"]),
        chosen=np.array(line["chosen"], dtype=np.int64), tokens=np.array(line["tokens"], dtype=np.int64),
        confidence=np.array(line["confidence"], dtype=np.float64), canvas=np.array(line["canvas"], dtype=np.int64),
        prompt_length=line["prompt_length"], mask_id=line["mask_id"],
        finished=line["finished"], stop_reason=line["stop_reason"],
    )  # fmt: skip


def to_runs(positions: Positions) -> list[list[int]]:
    """Write sorted positions as runs [start, stop)."""
    if not len(positions):
        return []
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return [[int(run[0]), int(run[-1]) + 1] for run in np.split(positions, breaks)]


def from_runs(runs: Iterable[Iterable[int]]) -> Positions:
    """Read runs back."""
    parts = [np.arange(*run) for run in runs]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
