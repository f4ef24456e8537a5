"""The trace: it records every step, writes it down, reads it back and replays it."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import cached_policies
from policies import EveryOther, RandomQuery
from shell import ROOT

from dllmkit import Decoder, StepRecord, Trace
from dllmkit.errors import DllmkitError
from dllmkit.observe.lines import from_runs, to_runs
from dllmkit.policy import Policy
from dllmkit.result import Result
from dllmkit.state import Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.quota import Quota
from dllmkit_dawn.dawn import Dawn

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "llada-100"
PROMPTS = [[5, 6, 7], [8] * 9]
TOY = toy_model(7, layers=1, width=16, heads=2, kv_heads=1)
DAWN = Dawn(tau_high=0.6, tau_sink=0.2, tau_edge=0.03, tau_induce=0.3, tau_low=0.2, layers=1)


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


def written(trace: Trace) -> str:
    assert isinstance(trace.file, io.StringIO)
    return trace.file.getvalue()


def loaded(text: str, path: Path) -> Trace:
    path.write_text(text)
    return Trace.load(path)


def same(a: object, b: object) -> bool:
    """Equal in every field, confidences and weights to six digits."""
    if isinstance(a, np.ndarray):
        if a.dtype.kind == "f":
            return np.allclose(a, b, rtol=1e-5, atol=0, equal_nan=True)  # type: ignore[call-overload,no-any-return]
        return np.array_equal(a, b)  # type: ignore[arg-type]
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple) and not isinstance(a, (int, str)):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def observed(policy: Policy, prompts: Sequence[Sequence[int]], released: bool = False) -> tuple[Trace, list[Row]]:
    """A trace with details of a decode on the toy, and the rows."""
    trace = Trace(file=io.StringIO(), details=True, text_of=lambda token: None if token == 3 else f"<{token}>")
    rows, steps = toy_decode(
        TOY, prompts, policy, gen_length=12, batch_size=2, as_released=released, details=True
    )  # fmt: skip
    for step in steps:
        trace.on_step(step)
        if step.finished:
            trace.on_result(result(rows[step.row]))
    return trace, rows


def result(row: Row) -> Result:
    tokens, n = row.canvas.tolist(), row.gen_length
    return Result(
        row.request.index, None, tokens, row.prompt_length, row.nfe, row.n_committed, row.query_lengths,
        row.visible_lengths, row.commit_step.tolist(), [None] * n, row.stop_reason, 0.0, n,
    )  # fmt: skip


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
    read = loaded(written(trace), tmp_path / "trace.jsonl")
    assert len(read.steps) == len(trace.steps)
    assert all(same(a, b) for a, b in zip(read.steps, trace.steps, strict=True))
    assert read.results == trace.results
    assert [c.tolist() for c in read.replay(1)] == [c.tolist() for c in trace.replay(1)]
    assert Trace.load(tmp_path / "trace.jsonl", only=[1]).rows() == [1]


@settings(max_examples=60)
@given(
    cached_policies(st.one_of(st.just(DAWN), st.just(dataclasses.replace(DAWN, blocked="or")))) | cached_policies(),
    st.lists(st.lists(st.integers(0, 23), min_size=1, max_size=6), min_size=1, max_size=3),
)
def test_any_run_comes_back(tmp_path_factory: pytest.TempPathFactory, components: dict[str, object], prompts) -> None:
    """Prompts with [MASK] in them, caches, windows, sliding blocks: every field of every record."""
    trace, rows = observed(toy_policy(**components), prompts)
    read = loaded(written(trace), tmp_path_factory.mktemp("run") / "trace.jsonl")
    assert all(same(a, b) for a, b in zip(trace.steps, read.steps, strict=True))
    assert read.texts == trace.texts
    for i, row in enumerate(rows):
        canvases = [canvas.tolist() for canvas in read.replay(i)]
        assert canvases[0] == [*prompts[i], *[23] * 12]
        assert canvases[1 : row.nfe + 1] == [step.canvas.tolist() for step in trace.of(i)]
        assert canvases[-1] == row.canvas.tolist()


def test_overwrites_of_a_released_fault_are_replayed(tmp_path: Path) -> None:
    selector = dataclasses.replace(DAWN, tau_high=0.9, tau_induce=0.9, tau_low=0.1, tau_edge=0.01, tau_sink=1.0)
    trace, (row,) = observed(toy_policy(unmask_selector=selector), [[9, 1, 4, 1, 5]], released=True)
    assert any(step.overwritten.tolist() == [0] for step in trace.steps)
    assert row.canvas[0] != 9
    canvases = list(loaded(written(trace), tmp_path / "trace.jsonl").replay(0))
    assert canvases[0][0] == 9
    assert canvases[-1].tolist() == row.canvas.tolist()


def test_forced_progress_is_said(tmp_path: Path) -> None:
    from dllmkit_baseline.threshold import Threshold

    trace, (row,) = observed(toy_policy(unmask_selector=Threshold(1.0)), [[3, 1, 4]])
    read = loaded(written(trace), tmp_path / "trace.jsonl")
    assert [step.forced for step in read.steps] == [True] * 12
    assert [len(step.chosen) for step in read.steps] == [1] * 12
    trace, (row,) = observed(toy_policy(unmask_selector=Threshold(0.0)), [[3, 1, 4]])
    assert [step.forced for step in trace.steps] == [False] * row.nfe


def test_a_tail_that_a_stop_rule_filled_is_the_last_canvas(trace: Trace) -> None:
    steps = trace.of(0)
    cut = Trace(steps[:2], [{**(trace.result(0) or {}), "fill": [20, 1]}])
    canvases = list(cut.replay(0))
    assert len(canvases) == 4
    assert canvases[-1].tolist() == [*steps[1].canvas.tolist()[:20], *[1] * 7]
    assert canvases[-2].tolist() == steps[1].canvas.tolist()


def test_lines_are_compact(trace: Trace) -> None:
    steps = [json.loads(line) for line in written(trace).splitlines()]
    later = [line for line in steps if line["kind"] == "step" and line["step"] > 0]
    assert all(line.keys().isdisjoint({"visible", "query", "eligible"}) for line in later)
    assert sum("block" in line for line in later) == 2 * 2  # two rows, three blocks
    assert max(len(json.dumps(line)) for line in later) < 300


def test_without_keep_it_only_writes(decoder: Decoder) -> None:
    trace = Trace(file=io.StringIO(), keep=False, text_of=str)
    decoder.decode(PROMPTS[:1], observers=[trace])
    assert (trace.steps, trace.results, trace.texts) == ([], [], {})
    kinds = [json.loads(line)["kind"] for line in written(trace).splitlines()]
    assert kinds == ["row"] + ["step"] * (len(kinds) - 2) + ["result"]


def test_each_row_says_the_texts_of_its_tokens_once() -> None:
    trace, rows = observed(toy_policy(unmask_selector=DAWN), [[1, 2, 3], [4, 5]])
    for i, row in enumerate(rows):
        said = [token for line in map(json.loads, written(trace).splitlines()) if line["row"] == i
                for token in line.get("texts", {})]  # fmt: skip
        assert len(said) == len(set(said))
        assert set(row.canvas.tolist()) - {3} <= set(map(int, said))  # 3 has no text
    assert "3" not in said
    assert trace.texts[4] == "<4>"


def test_a_trace_that_contradicts_itself_is_refused(trace: Trace, tmp_path: Path) -> None:
    steps = trace.of(0)
    position = int(steps[1].chosen[0])
    wrong = dataclasses.replace(steps[1], tokens=steps[1].tokens + 1)
    with pytest.raises(
        DllmkitError, match=rf"row 0, step 1: commits do not lead to the canvas at positions \[{position}"
    ):
        list(Trace([steps[0], wrong]).replay(0))
    with pytest.raises(DllmkitError, match=r"the trace has no row 7; it has \[0, 1\]"):
        list(trace.replay(7))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("{", "Expecting property name"),
        ("3", "expected a JSON object"),
        ('{"schema": 99, "kind": "row", "row": 4}', "schema 99, expected 2"),
        ('{"schema": 2, "kind": "row", "row": 4}', "'prompt' is missing"),
        ('{"schema": 2, "kind": "row", "row": 0}', "row 0 begins a second time"),
        ('{"kind": "step", "row": 4, "step": 0}', "4 is missing"),
        ('{"kind": "step", "row": 0, "step": 1}', "step 1 of row 0, expected 0"),
        ('{"kind": "stop", "row": 0}', "kind 'stop', expected row, step or result"),
        (
            '{"kind":"step","row":0,"step":0,"block":[3,11],"visible":[[0,27]],"chosen":[[1,2]],"tokens":[1],'
            '"confidence":[1]}',
            r"commits to positions \[1\], which are not eligible",
        ),
        (
            '{"kind":"step","row":0,"step":0,"block":[3,11],"visible":[[0,27]],"chosen":[[3,5]],"tokens":[1],'
            '"confidence":[1]}',
            "2 positions with 1 tokens and 1 confidences",
        ),
    ],
)
def test_a_damaged_file_names_the_line(trace: Trace, tmp_path: Path, damage: str, said: str) -> None:
    text = written(trace).splitlines()[0] + "\n" + damage + "\n"
    with pytest.raises(DllmkitError, match=rf"trace\.jsonl, line 2 is not a line of a trace: .*{said}"):
        loaded(text, tmp_path / "trace.jsonl")


def test_old_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DllmkitError, match=r"has trace schema 1, which this version of dllmkit does not read: decode"):
        loaded('{"schema":1,"kind":"step","row":0}\n', tmp_path / "trace.jsonl")
    with pytest.raises(DllmkitError, match="cannot be read: No such file"):
        Trace.load(tmp_path / "none.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DllmkitError, match="is not a line of a trace"):
        Trace.load(tmp_path / "binary")


def test_what_a_killed_run_leaves_is_readable(trace: Trace, tmp_path: Path) -> None:
    """Cut anywhere: the whole lines before the cut are there."""
    whole = written(trace)
    for cut in range(0, len(whole), 37):
        read = loaded(whole[:cut], tmp_path / "trace.jsonl")
        lines = whole[:cut].split("\n")[:-1]
        assert len(read.steps) == sum('"kind":"step"' in line for line in lines)
        for row in read.rows():
            assert len(list(read.replay(row))) == len(read.of(row)) + 1


def test_steps_are_on_disk_when_they_are_done(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    seen = []
    with path.open("w") as file:

        class Reader:
            def on_step(self, step: StepRecord) -> None:
                seen.append(len(Trace.load(path).steps))

            def on_result(self, result: Result) -> None: ...

        decoder.decode(PROMPTS[:1], observers=[Trace(file=file, keep=False), Reader()])
    assert seen == list(range(1, len(seen) + 1))


def test_every_line_is_valid_under_the_published_schema(trace: Trace) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install -e '.[dev]'")
    schema = json.loads((ROOT / "dllmkit" / "observe" / "trace.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    explained, _ = observed(toy_policy(unmask_selector=DAWN), [[1, 2, 3], [4, 5, 23]])
    selector = dataclasses.replace(DAWN, tau_high=0.9, tau_induce=0.9, tau_low=0.1, tau_edge=0.01, tau_sink=1.0)
    released, _ = observed(toy_policy(unmask_selector=selector), [[3, 1, 4, 1, 5]], released=True)
    odd = {"block_scheduler": EveryOther(), "cache_policy": RandomQuery(), "unmask_selector": Quota(2)}
    narrow, _ = observed(toy_policy(**odd), [[3, 1]])
    lines = [json.loads(line) for one in (trace, explained, released, narrow) for line in written(one).splitlines()]
    for line in lines:
        validator.validate(line)
    properties = {name for part in schema["$defs"].values() for name in part.get("properties", {})}
    met = {name for line in lines for name in (*line, *line.get("details", ()))}
    assert met >= properties - {"values"}  # nothing in the schema that is never written
    for change in ({"kind": "stop"}, {"extra": 1}, {"row": -1}, {"row": "0"}):
        assert not validator.is_valid({**lines[0], **change})
    step = next(line for line in lines if line["kind"] == "step")
    for name in ("step", "chosen", "tokens", "confidence"):
        assert not validator.is_valid({key: value for key, value in step.items() if key != name})


def test_the_reference_page_names_every_key() -> None:
    page = (ROOT / "docs" / "reference" / "trace.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "dllmkit" / "observe" / "trace.schema.json").read_text(encoding="utf-8"))
    for part in ("row", "step", "details", "result"):
        section = page.split(f"\n## `{part}`")[1].split("\n## ")[0]
        missing = [name for name in schema["$defs"][part]["properties"] if f"| `{name}` |" not in section]
        assert missing == [], part


@given(st.sets(st.integers(0, 60)))
def test_positions_as_runs(positions: set[int]) -> None:
    given = np.array(sorted(positions), dtype=np.int64)
    runs = to_runs(given)
    assert from_runs(runs).tolist() == given.tolist()
    assert all(a[1] < b[0] for a, b in pairwise(runs))  # maximal: no two runs touch
