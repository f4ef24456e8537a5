"""A record of every step of a decode, written as it goes, read back and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from dllmkit.errors import DllmkitError
from dllmkit.observe.lines import first_canvas, read_row, read_step, result_line, row_line, step_line
from dllmkit.result import Result
from dllmkit.state import Request
from dllmkit.step import StepRecord


@dataclass(slots=True, eq=False)
class Trace:
    """Keeps what happened: the steps of every row, and the results. Pass it as an observer.

    With `file`, an open text file, each step and result is also written there as one JSON line when it happens; `text_of`
    turns a token into its text for readers without the tokenizer. With `details` the steps say why they chose what they
    chose.
    """

    steps: list[StepRecord] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    file: IO[str] | None = None
    keep: bool = True
    text_of: Callable[[int], str | None] | None = None
    details: bool = False
    texts: dict[int, str] = field(default_factory=dict)  # of the tokens met, where a trace file or `text_of` says them
    _last: dict[int, StepRecord] = field(default_factory=dict)  # of the rows being written
    _known: dict[int, set[int]] = field(default_factory=dict)  # tokens whose texts a row's lines have said

    def on_step(self, step: StepRecord) -> None:
        """Record a step."""
        before = self._last.get(step.row)
        if self.keep:
            self.steps.append(step)
        if before is None:
            self._write(row_line(step.request), [*step.request.prompt, *step.request.eos_ids])
        tokens = [*step.tokens.tolist(), *step.overwriting.tolist()]
        proposed = [] if step.details is None else step.details.tokens.tolist()
        self._write(step_line(step, before), [*tokens, *proposed])
        self._last[step.row] = step

    def on_result(self, result: Result) -> None:
        """Record how the row ended."""
        line = result_line(result)
        if self.keep:
            self.results.append(line)
        self._write(line, [] if line["fill"] is None else [line["fill"][1]])
        self._last.pop(result.index, None)
        self._known.pop(result.index, None)

    def _write(self, line: dict[str, Any], tokens: list[int]) -> None:
        """Write a line, with the texts of the tokens that are new to its row: the lines of a row stand on their own."""
        if self.text_of is not None:
            known = self._known.setdefault(line["row"], set())
            new = {token: self.text_of(token) for token in dict.fromkeys(tokens) if token not in known}
            known.update(new)
            said = {token: text for token, text in new.items() if text is not None}
            self.texts |= said if self.keep else {}
            if said:
                line = {**line, "texts": {str(token): text for token, text in said.items()}}
        if self.file is not None:
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self.file.flush()  # a killed run leaves every step that it has done

    @classmethod
    def load(cls, path: Path, only: Container[int] | None = None) -> Trace:
        """Read a trace file, of all rows or `only` some; DllmkitError names the line that is not one of a trace.

        A last line that was cut off, where a run was killed or is still writing, is left out.
        """
        trace, requests, last = cls(), dict[int, Request](), dict[int, StepRecord]()
        for number, line in _lines(path):
            try:
                row = line["row"]
                if only is not None and row not in only:
                    continue
                if line["kind"] == "row":
                    if row in requests:
                        raise ValueError(f"row {row} begins a second time")
                    requests[row] = read_row(line)
                elif line["kind"] == "step":
                    last[row] = read_step(line, requests[row], last.get(row))
                    trace.steps.append(last[row])
                elif line["kind"] == "result":
                    texts = line.pop("texts", {})
                    trace.results.append(line)
                    line = {"texts": texts}
                else:
                    raise ValueError(f"kind '{line['kind']}', expected row, step or result")
                trace.texts |= {int(token): text for token, text in line.get("texts", {}).items()}
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                raise DllmkitError(f"{path}, line {number} is not a line of a trace: {what}") from error
        return trace

    def rows(self) -> list[int]:
        """The rows that the trace knows, by request index."""
        return sorted({step.row for step in self.steps})

    def of(self, row: int) -> list[StepRecord]:
        """The steps of one row, in order."""
        return [step for step in self.steps if step.row == row]

    def result(self, row: int) -> dict[str, Any] | None:
        """How a row ended: its result line; None if it did not end."""
        return next((line for line in self.results if line["row"] == row), None)

    def replay(self, row: int) -> Iterator[np.ndarray]:
        """Rebuild the canvas [length] of one row from its commits alone: before the first step, then after each.

        If a stop rule filled the tail, one more canvas follows: the filled one.
        Raises DllmkitError where the commits do not lead to the recorded canvas.
        """
        steps = self.of(row)
        if not steps:
            raise DllmkitError(f"the trace has no row {row}; it has {self.rows()}")
        canvas = first_canvas(steps[0].request)
        yield canvas.copy()
        for step in steps:
            canvas[step.chosen] = step.tokens
            canvas[step.overwritten] = step.overwriting
            if not np.array_equal(canvas, step.canvas):
                wrong = np.flatnonzero(canvas != step.canvas).tolist()
                raise DllmkitError(
                    f"row {row}, step {step.step}: commits do not lead to the canvas at positions {wrong}"
                )
            yield canvas.copy()
        result = self.result(row)
        if result is not None and result["fill"] is not None:
            start, token = result["fill"]
            canvas[start:] = token
            yield canvas.copy()


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and content of each whole line."""
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if not text.endswith("\n"):
                    return
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise ValueError("expected a JSON object")
                if line.get("schema") == 1:
                    raise DllmkitError(
                        f"{path} has trace schema 1, which this version of dllmkit does not read: decode again"
                    )
                yield number, line
    except OSError as error:
        raise DllmkitError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DllmkitError(f"{path}, line {number} is not a line of a trace: {error}") from error
