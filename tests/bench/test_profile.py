"""Traces of torch.profiler: the parts of a step by name, and what TensorBoard's plugin makes of them."""

from __future__ import annotations

import gzip
import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from shell import call

from dllmkit import Decoder
from dllmkit.errors import DllmkitError
from dllmkit.observe.profile import record
from dllmkit.phases import NAMES

PARTS = set(NAMES) - {"step"}  # eager
PROMPT = "Sort: 4 2 9"


def events(file: Path) -> Counter[str]:
    trace = json.loads(gzip.decompress(file.read_bytes()))
    return Counter(e["name"] for e in trace["traceEvents"] if e.get("cat") == "user_annotation")


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder.from_recipe("fast_dllm/tiny-dual_cache", ["decode.gen_length=32", "runtime.dtype=float32"])


def test_the_parts_of_each_step_are_named(decoder, tmp_path):
    done = record(decoder, [PROMPT], tmp_path / "run", chat=True, steps=2)
    assert done.steps == 2
    assert [one.name for one in done.ranges] == [name for name in NAMES if name in PARTS]
    seen = events(done.file)
    assert {name for name in seen if not name.startswith("ProfilerStep")} == PARTS
    assert seen["forward"] == seen["schedule"] == 2
    assert {one.name: one.count for one in done.ranges} == {name: seen[name] for name in PARTS}
    assert all(one.seconds > 0 for one in done.ranges)
    assert {f"ProfilerStep#{i}" for i in range(2)} <= set(seen)


def test_all_steps_of_a_batch(decoder, tmp_path):
    (alone,) = decoder.decode([PROMPT], chat=True)
    done = record(decoder, [PROMPT], tmp_path, chat=True, steps=0)
    assert done.steps == events(done.file)["forward"] == alone.nfe
    assert decoder.decode([PROMPT], chat=True)[0].tokens == alone.tokens


def test_a_folder_keeps_several_traces(decoder, tmp_path):
    files = {record(decoder, [PROMPT], tmp_path, chat=True, steps=1).file for _ in range(2)}
    assert set(tmp_path.iterdir()) == files
    assert len(files) == 2


def test_a_folder_that_cannot_be_made(decoder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DllmkitError, match="cannot be written"):
        record(decoder, [PROMPT], tmp_path / "file" / "run")


def test_the_command(capsys, tmp_path):
    out = tmp_path / "traces"
    outcome = call(capsys, "profile", "dsb/tiny", "--out", str(out), "--prompt", PROMPT, "--steps", "2")
    assert outcome.status == 0, outcome.err
    (file,) = out.iterdir()
    assert f"2 steps in {file}" in outcome.out
    assert f"tensorboard --logdir {out}" in outcome.out
    assert "ui.perfetto.dev" in outcome.out
    assert events(file)["forward"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dsb/tinny", "--out", "x"], "did you mean"),
        (["dsb/tiny", "--out", "x", "decode.gen_length=0"], "decode.gen_length = 0, expected >= 1"),
        (["dsb/tiny", "--out", "x", "--prompts", "gone.txt"], "no such file: gone.txt"),
    ],
)
def test_mistakes(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call(capsys, "profile", *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert list(tmp_path.iterdir()) == []


@contextmanager
def tensorboard(folder: Path):
    """A TensorBoard of its own process; gives the address of the profiler plugin."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, *command, "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}/data/plugin/pytorch_profiler/"
    finally:
        server.terminate()
        server.wait(30)


def answer(url: str, **query: str) -> bytes:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=30) as response:
        body = response.read()
        return gzip.decompress(body) if response.headers["Content-Encoding"] == "gzip" else body


def loaded(url: str, seconds: float = 120) -> list[str]:
    """Wait for the plugin to have read its folder; return its runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            runs = json.loads(answer(url + "runs"))
            if runs["runs"] and not runs["loading"]:
                return runs["runs"]
        time.sleep(0.3)
    raise AssertionError(f"the plugin has read nothing after {seconds} s")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("torch_tb_profiler") is None or importlib.util.find_spec("tensorboard") is None,
    reason="needs the extra dllmkit[profile]",
)
def test_tensorboard_reads_the_trace(decoder, tmp_path):
    record(decoder, [PROMPT], tmp_path / "dual", chat=True, steps=2)
    with tensorboard(tmp_path) as url:
        assert loaded(url) == ["dual"]
        worker = json.loads(answer(url + "workers", run="dual", view="Overview"))[0]
        asked = {"run": "dual", "worker": worker, "span": "1"}
        views = json.loads(answer(url + "views", run="dual"))
        assert {"Overview", "Operator", "Trace"} <= set(views)
        overview = json.loads(answer(url + "overview", **asked))
        assert [str(row[0]) for row in overview["steps"]["rows"]] == ["0", "1"]
        table = json.loads(answer(url + "operation/table", **asked, group_by="Operation"))
        assert {"aten::linear", "mkldnn::_linear_pointwise"} & {row["name"] for row in table["data"]}
        trace = answer(url + "trace", **asked)
        seen = {event["name"] for event in json.loads(trace)["traceEvents"] if event.get("cat") == "user_annotation"}
        assert seen >= PARTS
