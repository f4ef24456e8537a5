"""The page: one HTML file with everything in it, which loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.explanation import Details
from dllmkit.observe.lines import to_runs
from dllmkit.observe.trace import Trace
from dllmkit.step import StepRecord
from dllmkit.view.runs import ViewedRun

SCRIPTS = ("data.js", "cells.js", "bands.js", "history.js", "panel.js", "player.js")
LARGEST = 1_900_000  # characters of data in a page
_LABEL = 60  # characters of a prompt in the list of prompts


def render(runs: Sequence[ViewedRun], row: int | None = None) -> str:
    """Make the page of one run, or of two side by side, with the rows that both have (`row`: with this one alone).

    Rows are taken in order as long as the page stays below 2 MB; the page says how many were left out. A row that is too
    large on its own goes without its details. Raises DllmkitError if a run does not have the row, or the runs share none.
    """
    rows = _rows(runs, row)
    shown: list[dict[str, Any]] = []
    texts: list[dict[int, str]] = [{} for _ in runs]
    used, notes = 0, []
    for number, *traces in zip(rows, *(run.traces(rows) for run in runs), strict=True):
        entry = _entry(number, traces)
        if (length := _length(entry)) > LARGEST and not shown:
            entry = _entry(number, traces, details=False)
            length = _length(entry)
            notes.append(f"Prompt {number + 1} is too large to be shown with its details.")
        if used + length > LARGEST and shown:
            notes.append(
                f"{len(rows) - len(shown)} of {len(rows)} prompts are left out: dllmkit view --row N shows one."
            )
            break
        used += length
        shown.append(entry)
        for known, trace in zip(texts, traces, strict=True):
            known |= trace.texts
    described = [
        {"name": run.name, "components": run.components, "texts": known} for run, known in zip(runs, texts, strict=True)
    ]
    return _page(" and ".join(run.name for run in runs), {"rows": shown, "runs": described, "note": " ".join(notes)})


def _rows(runs: Sequence[ViewedRun], row: int | None) -> list[int]:
    if row is not None:
        for run in runs:
            if row not in run.rows:
                raise DllmkitError(f"{run.path} has no row {row}; it has {_few(run.rows)}")
        return [row]
    common = [number for number in runs[0].rows if all(number in run.rows for run in runs)]
    if not common:
        raise DllmkitError(f"{' and '.join(str(run.path) for run in runs)} have no row in common")
    return common


def _few(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows)) if len(rows) <= 8 else f"{rows[0]} to {rows[-1]} ({len(rows)} rows)"


def _entry(number: int, traces: Sequence[Trace], details: bool = True) -> dict[str, Any]:
    """One prompt, as each run decoded it."""
    first = traces[0].of(number)[0]
    label = "".join(traces[0].texts.get(token, f" {token}") for token in first.request.prompt)
    return {
        "row": number,
        "label": " ".join(label.split())[:_LABEL],
        "runs": [row_data(trace, number, details) for trace in traces],
    }


def row_data(trace: Trace, number: int, details: bool = True) -> dict[str, Any]:
    """A row as plain data for data.js; sets are runs [start, stop)."""
    steps, result = trace.of(number), trace.result(number)
    request = steps[0].request
    return {
        "prompt": list(request.prompt),
        "length": request.length,
        "ends": list(request.eos_ids),
        "steps": [_step(step, details) for step in steps],
        "fill": None if result is None else result["fill"],
        "stopReason": steps[-1].stop_reason,
        "answer": None if result is None else result["text"],
    }


def _step(step: StepRecord, details: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "block": list(step.block), "refresh": step.refresh, "visible": to_runs(step.visible),
        "query": to_runs(step.query), "eligible": to_runs(step.eligible), "chosen": to_runs(step.chosen),
        "tokens": step.tokens.tolist(), "confidence": _numbers(step.confidence),
    }  # fmt: skip
    if step.forced:
        data["forced"] = True
    if len(step.overwritten):
        data["overwrites"] = [
            list(pair) for pair in zip(step.overwritten.tolist(), step.overwriting.tolist(), strict=True)
        ]
    if details and step.details is not None:
        data["details"] = _details(step.details)
    return data


def _details(details: Details) -> dict[str, Any]:
    edges = {
        name: [list(edge) for edge in zip(e.source.tolist(), e.target.tolist(), _numbers(e.weight), strict=True)]
        for name, e in details.edges.items()
    }
    return {
        "tokens": details.tokens.tolist(), "confidence": _numbers(details.confidence),
        "sets": {name: to_runs(positions) for name, positions in details.sets.items()}, "edges": edges,
    }  # fmt: skip


def _numbers(values: Any) -> list[float | None]:
    """Four decimals, which is more than the page shows."""
    return [None if value != value else round(value, 4) for value in values.tolist()]


def _length(data: Mapping[str, Any]) -> int:
    return len(_json(data))


def _json(data: Any) -> str:
    """JSON in plain ASCII that cannot end the element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _page(title: str, data: Mapping[str, Any]) -> str:
    folder = files("dllmkit.view")
    script = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = folder.joinpath("view.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'"
    parts = {
        "title": html.escape(f"{title} · dllmkit view"), "policy": policy, "style": style, "script": script,
        "data": _json(data),
    }  # fmt: skip
    template = folder.joinpath("template.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)  # one pass: data may say {{script}}


def _hash(text: str) -> str:
    """The source of a Content-Security-Policy that allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
