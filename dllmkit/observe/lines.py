"""The lines of a trace file: a row, its steps, its result. docs/reference/trace.md is the description of the format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dllmkit.explanation import Details, Edges
from dllmkit.result import Result
from dllmkit.state import Positions, Request
from dllmkit.step import StepRecord

SCHEMA = 2  # version of the format; `row` lines carry it


def row_line(request: Request) -> dict[str, Any]:
    """Write what is fixed for a row."""
    return {
        "schema": SCHEMA, "kind": "row", "row": request.index, "prompt": list(request.prompt),
        "gen_length": request.gen_length, "mask_id": request.mask_id, "eos_ids": list(request.eos_ids),
        "shift": request.shift, "as_released": request.as_released, "seed": request.seed,
    }  # fmt: skip


def read_row(line: dict[str, Any]) -> Request:
    """Read a row line back; ValueError if it is of another version."""
    if line["schema"] != SCHEMA:
        raise ValueError(f"schema {line['schema']}, expected {SCHEMA}")
    return Request(
        line["row"], tuple(line["prompt"]), line["gen_length"], line["mask_id"], tuple(line["eos_ids"]), line["shift"],
        line["as_released"], line["seed"],
    )  # fmt: skip


def first_canvas(request: Request) -> np.ndarray:
    """The canvas before the first step, int64 [length]."""
    canvas = np.full(request.length, request.mask_id, dtype=np.int64)
    canvas[: len(request.prompt)] = request.prompt
    return canvas


def step_line(step: StepRecord, before: StepRecord | None) -> dict[str, Any]:
    """Write a step; what follows from the row's step before, or is empty or false, is left out."""
    line: dict[str, Any] = {"kind": "step", "row": step.row, "step": step.step}
    if before is None or step.block != before.block:
        line["block"] = list(step.block)
    if step.refresh:
        line["refresh"] = True
    if before is None or not np.array_equal(step.visible, before.visible):
        line["visible"] = to_runs(step.visible)
    if not np.array_equal(step.query, step.visible):
        line["query"] = to_runs(step.query)
    canvas = first_canvas(step.request) if before is None else before.canvas
    if not np.array_equal(step.eligible, _masks(step.request, canvas, step.block)):
        line["eligible"] = to_runs(step.eligible)
    line |= {"chosen": to_runs(step.chosen), "tokens": step.tokens.tolist(), "confidence": _rounded(step.confidence)}
    if step.forced:
        line["forced"] = True
    if len(step.overwritten):
        line["overwritten"] = step.overwritten.tolist()
        line["overwriting"] = step.overwriting.tolist()
    if step.finished:
        line["stop_reason"] = step.stop_reason
    if step.details is not None:
        line["details"] = _details_line(step.details)
    return line


def read_step(line: dict[str, Any], request: Request, before: StepRecord | None) -> StepRecord:
    """Read a step line back, knowing the row's step before; ValueError if it cannot follow that."""
    number = 0 if before is None else before.step + 1
    if line["step"] != number:
        raise ValueError(f"step {line['step']} of row {request.index}, expected {number}")
    if before is not None and before.finished:
        raise ValueError(f"row {request.index} is finished")
    canvas = first_canvas(request) if before is None else before.canvas.copy()
    block = tuple(line["block"]) if "block" in line or before is None else before.block
    visible = from_runs(line["visible"]) if "visible" in line or before is None else before.visible
    eligible = from_runs(line["eligible"]) if "eligible" in line else _masks(request, canvas, block)
    chosen, tokens = from_runs(line["chosen"]), np.array(line["tokens"], dtype=np.int64)
    confidence = np.array(line["confidence"], dtype=np.float64)
    if not len(chosen) == len(tokens) == len(confidence):
        raise ValueError(f"{len(chosen)} positions with {len(tokens)} tokens and {len(confidence)} confidences")
    if len(strange := np.setdiff1d(chosen, eligible)):
        raise ValueError(f"commits to positions {strange.tolist()}, which are not eligible")
    overwritten = np.array(line.get("overwritten", []), dtype=np.int64)
    overwriting = np.array(line.get("overwriting", []), dtype=np.int64)
    canvas[chosen] = tokens
    canvas[overwritten] = overwriting
    return StepRecord(
        request=request, step=number, block=block, refresh=line.get("refresh", False), visible=visible,
        query=from_runs(line["query"]) if "query" in line else visible, eligible=eligible, chosen=chosen,
        tokens=tokens, confidence=confidence, canvas=canvas, finished="stop_reason" in line,
        stop_reason=line.get("stop_reason"), forced=line.get("forced", False), overwritten=overwritten,
        overwriting=overwriting, details=_read_details(line["details"]) if "details" in line else None,
    )  # fmt: skip


def result_line(result: Result) -> dict[str, Any]:
    """Write the outcome of a row; `fill` is [start, token] if a stop rule filled the rest of the canvas."""
    filled = [i for i, step in enumerate(result.commit_step) if step < 0]
    start = result.prompt_length + filled[0] if filled else None
    return {
        "kind": "result", "row": result.index, "nfe": result.nfe, "stop_reason": result.stop_reason,
        "answer_length": result.answer_length, "text": result.text,
        "fill": None if start is None else [start, result.tokens[start]],
    }  # fmt: skip


def _masks(request: Request, canvas: np.ndarray, block: tuple[int, int]) -> Positions:
    """The generated positions in the block that are still masked: what is eligible unless the line says otherwise."""
    start = max(block[0], len(request.prompt))  # a prompt may contain the mask token
    return np.flatnonzero(canvas[start : block[1]] == request.mask_id) + start


def _details_line(details: Details) -> dict[str, Any]:
    line: dict[str, Any] = {"tokens": details.tokens.tolist(), "confidence": _rounded(details.confidence)}
    if details.values:
        line["values"] = {name: _rounded(value) for name, value in details.values.items()}
    if details.sets:
        line["sets"] = {name: to_runs(positions) for name, positions in details.sets.items()}
    if details.edges:
        line["edges"] = {
            name: [list(edge) for edge in zip(e.source.tolist(), e.target.tolist(), _rounded(e.weight), strict=True)]
            for name, e in details.edges.items()
        }
    return line


def _read_details(line: dict[str, Any]) -> Details:
    edges = {}
    for name, rows in line.get("edges", {}).items():
        ends = np.array([edge[:2] for edge in rows], dtype=np.int64).reshape(-1, 2)
        edges[name] = Edges(ends[:, 0], ends[:, 1], np.array([edge[2] for edge in rows], dtype=np.float64))
    return Details(
        np.array(line["tokens"], dtype=np.int64), np.array(line["confidence"], dtype=np.float64),
        {name: np.array(value, dtype=np.float64) for name, value in line.get("values", {}).items()},
        {name: from_runs(runs) for name, runs in line.get("sets", {}).items()}, edges,
    )  # fmt: skip


def _rounded(values: np.ndarray) -> list[float | None]:
    """Six significant digits: what people read, in a third of the space. What is not finite becomes null."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def to_runs(positions: Positions) -> list[list[int]]:
    """Write sorted positions as runs [start, stop)."""
    if not len(positions):
        return []
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return [[int(run[0]), int(run[-1]) + 1] for run in np.split(positions, breaks)]


def from_runs(runs: Iterable[Iterable[int]]) -> Positions:
    """Read runs back."""
    parts = [np.arange(*run, dtype=np.int64) for run in runs]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
