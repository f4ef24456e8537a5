"""The trace: it records every step, writes it down, reads it back and replays it."""

from __future__ import annotations

import dataclasses
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllmkit import Decoder, StepRecord, Trace
from dllmkit.errors import DllmkitError
from dllmkit.observe.trace import from_runs, to_runs

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "llada-100"
PROMPTS = [[5, 6, 7], [8] * 9]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    threshold = {"name": "threshold", "tau": 0.5}
    decode = {
        "gen_length": 24,
        "block_scheduler": {"name": "fixed_blocks", "block_length": 8},
        "unmask_selector": threshold,
    }
    return Decoder.from_recipe({"model": {"path": str(GOLDEN)}, "decode": decode, "runtime": {"batch_size": 2}})


@pytest.fixture(scope="module")
def trace(decoder: Decoder) -> Trace:
    trace = Trace(file=io.StringIO())
    decoder.decode(PROMPTS, observers=[trace])
    return trace


def same(a: StepRecord, b: StepRecord) -> bool:
    pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(StepRecord)]
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x == y for x, y in pairs
    )


def test_it_holds_the_run(decoder: Decoder, trace: Trace) -> None:
    assert trace.rows() == [0, 1]
    for row, prompt in enumerate(PROMPTS):
        steps = trace.of(row)
        [result] = decoder.decode([prompt])
        assert len(steps) == result.nfe
        assert [len(step.query) for step in steps] == result.query_lengths
        assert [step.finished for step in steps] == [False] * (result.nfe - 1) + [True]
        commits = {p: step.step for step in steps for p in step.chosen.tolist()}
        assert [commits[p] for p in range(len(prompt), len(prompt) + 24)] == result.commit_step


def test_replay_rebuilds_every_canvas(trace: Trace) -> None:
    for row, prompt in enumerate(PROMPTS):
        canvases = list(trace.replay(row))
        steps = trace.of(row)
        mask = steps[0].mask_id
        assert canvases[0].tolist() == prompt + [mask] * 24
        assert len(canvases) == len(steps) + 1
        for canvas, step in zip(canvases[1:], steps, strict=True):
            assert canvas.tolist() == step.canvas.tolist()
        assert mask not in canvases[-1]


def test_written_and_read_back(trace: Trace, tmp_path: Path) -> None:
    assert isinstance(trace.file, io.StringIO)
    file = tmp_path / "trace.jsonl"
    file.write_text(trace.file.getvalue())
    read = Trace.load(file)
    assert len(read.steps) == len(trace.steps)
    assert all(same(a, b) for a, b in zip(read.steps, trace.steps, strict=True))
    assert read.results == trace.results
    assert [c.tolist() for c in read.replay(1)] == [c.tolist() for c in trace.replay(1)]


def test_a_tail_that_a_stop_rule_filled_is_the_last_canvas(trace: Trace) -> None:
    steps = trace.of(0)
    filled = {**trace.results[0], "row": 0, "tokens": [5, 6, 7] + [1] * 24}
    cut = Trace(steps[:2], [filled])
    canvases = list(cut.replay(0))
    assert len(canvases) == 4
    assert canvases[-1].tolist() == filled["tokens"]
    assert canvases[-2].tolist() == steps[1].canvas.tolist()


def test_without_keep_it_only_writes(decoder: Decoder) -> None:
    trace = Trace(file=io.StringIO(), keep=False)
    decoder.decode(PROMPTS[:1], observers=[trace])
    assert (trace.steps, trace.results) == ([], [])
    assert isinstance(trace.file, io.StringIO)
    kinds = [json.loads(line)["kind"] for line in trace.file.getvalue().splitlines()]
    assert kinds == ["step"] * (len(kinds) - 1) + ["result"]


def test_a_trace_that_contradicts_itself_is_refused(trace: Trace) -> None:
    steps = trace.of(0)
    position = int(steps[1].chosen[0])
    wrong = dataclasses.replace(steps[1], tokens=steps[1].tokens + 1)
    with pytest.raises(
        DllmkitError, match=rf"row 0, step 1: commits do not lead to the canvas at positions \[{position}"
    ):
        list(Trace([steps[0], wrong]).replay(0))
    with pytest.raises(DllmkitError, match=r"the trace has no row 7; it has \[0, 1\]"):
        list(trace.replay(7))


@pytest.mark.parametrize("damage", ["{", "3", '{"schema": 99, "kind": "step"}', '{"schema": 1, "kind": "step"}'])
def test_a_damaged_file_names_the_line(trace: Trace, tmp_path: Path, damage: str) -> None:
    assert isinstance(trace.file, io.StringIO)
    file = tmp_path / "trace.jsonl"
    file.write_text(trace.file.getvalue().splitlines()[0] + "\n" + damage + "\n")
    with pytest.raises(DllmkitError, match=r"trace\.jsonl, line 2 is not a line of a trace"):
        Trace.load(file)


@given(st.sets(st.integers(0, 60)))
def test_positions_as_runs(positions: set[int]) -> None:
    given = np.array(sorted(positions), dtype=np.int64)
    runs = to_runs(given)
    assert from_runs(runs).tolist() == given.tolist()
    assert all(a[1] < b[0] for a, b in pairwise(runs))  # maximal: no two runs touch
