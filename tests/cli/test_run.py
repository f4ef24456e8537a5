"""`dllmkit run`, as the shell sees it: prompts, output, folders, interruptions."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import ROOT, call, ended, forked

from dllmkit.cli import main
from dllmkit.cli.run import run
from dllmkit.observe.metrics import DEFINITIONS
from dllmkit.observe.trace import Trace
from dllmkit.recipe import load_recipe

GOLDEN = ROOT / "tests" / "golden" / "llada-100"
SHORT = (
    "run",
    "baseline/tiny",
    f"model.path={GOLDEN}",
    "decode.gen_length=32",
    "decode.block_scheduler.block_length=16",
)
TIMES = {"seconds", "run_seconds", "tps", "tps_answer"}


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    """Six ragged prompts of token ids."""
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": [5 + i] * (4 + 3 * i)}) + "\n" for i in range(6)))
    return str(file)


def untimed(value: Any) -> Any:
    """A result without the times in it."""
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMES}
    return value


def contents(folder: Path) -> dict[str, Any]:
    """What a run folder holds, times apart; the lines of files in their order."""
    read: dict[str, Any] = {}
    for file in folder.iterdir():
        text = file.read_text()
        if file.suffix == ".jsonl":
            read[file.name] = [untimed(json.loads(line)) for line in text.splitlines()]
        else:
            read[file.name] = untimed(json.loads(text)) if file.suffix == ".json" else text
    return read


def test_the_bundled_model_from_the_shell() -> None:
    """The first command of the README, in a process of its own and under ten seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "dllmkit", "run", "baseline/tiny", "decode.gen_length=64", "--prompt",
         "Spell \"egg\" and write it backwards."],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])},
        capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # processor time: another process cannot make the test fail
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert (done.returncode, done.stderr) == (0, "")
    asked, answer = done.stdout.split("\n", 2)[:2]
    assert asked == 'Spell "egg" and write it backwards.'
    assert answer.strip()
    for name in ("nfe", "query_tokens", "tpf", "tps"):
        assert re.search(rf"^{name} +[\d,.]+ +{re.escape(DEFINITIONS[name][:20])}", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_json_is_one_object_per_prompt_and_nothing_else(capsys: pytest.CaptureFixture[str], prompts: str) -> None:
    outcome = call(capsys, *SHORT, "--prompts", prompts, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert [record["index"] for record in records] == list(range(6))
    for i, record in enumerate(records):
        assert record["tokens"][: record["prompt_length"]] == [5 + i] * (4 + 3 * i)
        assert record["text"] is None
        assert record["query_tokens"] == sum(record["query_lengths"])
        assert record["recipe_hash"] == load_recipe("baseline/tiny", SHORT[2:]).hash


def test_json_comes_in_the_order_of_finishing(capsys: pytest.CaptureFixture[str], prompts: str) -> None:
    faster = ("runtime.batch_size=4", "decode.unmask_selector={name: threshold, tau: 0.3}", "decode.stop_rules=[]")
    outcome = call(capsys, *SHORT, *faster, "--prompts", prompts, "--json")
    order = [json.loads(line)["index"] for line in outcome.out.splitlines()]
    assert sorted(order) == list(range(6))
    single = call(capsys, *SHORT, *faster[1:], "--prompts", prompts, "--json")
    tokens = {r["index"]: r["tokens"] for r in map(json.loads, outcome.out.splitlines())}
    assert tokens == {r["index"]: r["tokens"] for r in map(json.loads, single.out.splitlines())}


def test_answers_of_models_without_a_tokenizer_are_ids(capsys: pytest.CaptureFixture[str], prompts: str) -> None:
    out = call(capsys, *SHORT, "--prompts", prompts).out
    record = json.loads(call(capsys, *SHORT, "--prompts", prompts, "--json").out.splitlines()[1])
    answer = record["tokens"][record["prompt_length"] :][: record["answer_length"]]
    assert f"[2/6] {' '.join(['6'] * 7)}\n{' '.join(map(str, answer))}\n" in out
    assert re.search(r"^prompts +6\b", out, re.MULTILINE)


def test_where_prompts_come_from(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(stdin: str, *arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        out = call(capsys, "run", "baseline/tiny", "decode.gen_length=2", *arguments, "--json").out
        tokens = [json.loads(line) for line in out.splitlines()]
        return [decoder.text(record["tokens"][: record["prompt_length"]]) or "" for record in tokens]

    from dllmkit import Decoder

    decoder = Decoder.from_recipe("baseline/tiny")
    assert asked("", "--prompt", "One.", "--prompt", "Two.") == ["One.", "Two."]
    assert asked("ignored", "--prompt", "One.") == ["One."]
    assert asked("First line.\nSecond.\n") == ["First line.\nSecond."]
    assert asked("") == list(decoder.recipe.prompts.samples)


def test_the_model_is_loaded_once(
    capsys: pytest.CaptureFixture[str], prompts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.models import loading

    calls: list[object] = []
    real = loading.load_network

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(loading, "load_network", counted)
    assert call(capsys, *SHORT, "--prompts", prompts).status == 0
    assert len(calls) == 1


def test_the_folder_of_a_run(capsys: pytest.CaptureFixture[str], prompts: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = call(capsys, *SHORT, "--prompts", prompts, "--out", str(out), "--json").out
    recipe = load_recipe("baseline/tiny", SHORT[2:])
    assert load_recipe(out / "recipe.yaml").hash == recipe.hash
    results = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    for record, line in zip(results, printed.splitlines(), strict=True):
        assert json.loads(line).items() >= {k: v for k, v in record.items() if k != "run_seconds"}.items()
    described = json.loads((out / "run.json").read_text())
    assert described["environment"]["family"] == "llada"
    assert described["environment"]["versions"]["torch"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["recipe"] == recipe.resolved
    assert metrics["metrics"]["nfe"] == sum(record["nfe"] for record in results)
    trace = Trace.load(out / "trace.jsonl")
    assert trace.rows() == list(range(6))
    for record in results:
        assert len(trace.of(record["index"])) == record["nfe"]
        assert list(trace.replay(record["index"]))[-1].tolist() == record["tokens"]


def test_a_finished_run_is_only_printed_again(
    capsys: pytest.CaptureFixture[str], prompts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.models.model import DiffusionModel

    command = (*SHORT, "--prompts", prompts, "--out", str(tmp_path / "out"))
    first, before = call(capsys, *command), contents(tmp_path / "out")
    monkeypatch.delattr(DiffusionModel, "forward")
    second = call(capsys, *command)
    assert (second.status, second.out) == (0, first.out)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_random_moments(tmp_path: Path, prompts: str, number: signal.Signals, batch: int) -> None:
    """Whatever ends it, the same command goes on, and ends with the files of a run in one piece."""
    command = (*SHORT, f"runtime.batch_size={batch}", "runtime.dtype=float64", "--prompts", prompts, "--json", "--out")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    started = time.perf_counter()
    assert ended(forked((*command, str(whole)), tmp_path / "whole.txt")) == 0
    took = time.perf_counter() - started
    chance = random.Random(number * 10 + batch)
    kept: set[int] = set()
    interruptions = 0
    for attempt in range(60):
        output = tmp_path / f"{attempt}.txt"
        child = forked((*command, str(cut)), output)
        time.sleep(chance.uniform(0.1, 0.8) * took)
        os.kill(child, number)  # not reaped yet, so it is ours even if it has ended
        status = ended(child)
        assert "Traceback" not in output.read_text()
        results = cut / "results.jsonl"
        lines = results.read_text().split("\n")[:-1] if results.exists() else []
        indices = [json.loads(line)["index"] for line in lines]
        assert len(indices) == len(set(indices))  # none doubled
        assert kept <= set(indices)  # none lost
        kept = set(indices)
        if status == 0:
            break
        interruptions += 1
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
        if len(kept) >= 4:  # towards the end: let it finish
            assert ended(forked((*command, str(cut)), tmp_path / "last.txt")) == 0
            break
    assert interruptions
    assert close_to(contents(cut), contents(whole))
    printed = {}
    for line in (tmp_path / "last.txt" if (tmp_path / "last.txt").exists() else output).read_text().splitlines():
        printed[json.loads(line)["index"]] = json.loads(line)["tokens"]
    assert printed == {r["index"]: r["tokens"] for r in contents(whole)["results.jsonl"]}


def close_to(found: Any, expected: Any) -> bool:
    """Equal, but for the rounding of a batch that was put together differently."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(close_to(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close_to, found, expected))
    return bool(found == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected))


@pytest.mark.parametrize(
    ("error", "status", "said"), [(KeyboardInterrupt, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_says_what_is_kept(
    capsys: pytest.CaptureFixture[str], prompts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any,
    status: int, said: str,
) -> None:  # fmt: skip
    from dllmkit.rundir import RunFolder

    real = RunFolder.add

    def add(folder: RunFolder, result: Any, seconds: float) -> None:
        real(folder, result, seconds)
        if result.index == 1:
            if error is KeyboardInterrupt:
                raise KeyboardInterrupt
            os.kill(os.getpid(), error)

    monkeypatch.setattr(RunFolder, "add", add)
    out = tmp_path / "out"
    outcome = call(capsys, *SHORT, "--prompts", prompts, "--out", str(out), "--json")
    assert outcome.status == status
    assert outcome.err == f"{said}: 2 of 6 prompts are finished; the same command continues in {out}\n"
    assert not (out / "metrics.json").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_run_in_the_same_folder_waits_for_nothing(prompts: str, tmp_path: Path) -> None:
    command = (*SHORT, "decode.gen_length=512", "--prompts", prompts, "--out", str(tmp_path / "out"))
    first = forked(command, tmp_path / "first.txt")
    try:
        while not (tmp_path / "out" / "trace.jsonl").exists():
            time.sleep(0.01)
        assert ended(forked(command, tmp_path / "second.txt")) == 2
        assert "is being written by another dllmkit run" in (tmp_path / "second.txt").read_text()
    finally:
        os.kill(first, signal.SIGKILL)
        ended(first)


def through(prepare: Callable[[], None], arguments: tuple[str, ...], errors: Path) -> int:
    """Run the command in a copy of this process with another standard output."""
    child = os.fork()
    if not child:
        status = 99
        try:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
            prepare()
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            main(arguments)
        except SystemExit as exit_:
            sys.stdout.flush()  # as Python does when it ends
            sys.stderr.flush()
            status = int(exit_.code or 0)
        finally:
            os._exit(status)
    return child


@pytest.mark.parametrize("json_", [("--json",), ()])
def test_a_reader_that_leaves(prompts: str, tmp_path: Path, json_: tuple[str, ...]) -> None:
    """`dllmkit run ... | head -1`: quiet, and what is finished is kept."""
    reader, writer = os.pipe()
    child = through(
        lambda: (os.close(reader), os.dup2(writer, 1), os.close(writer), None)[-1],
        (*SHORT, "--prompts", prompts, *json_, "--out", str(tmp_path / "out")), tmp_path / "errors.txt",
    )  # fmt: skip
    os.close(writer)
    assert os.read(reader, 1 << 16)
    os.close(reader)
    assert ended(child) == 141
    assert (tmp_path / "errors.txt").read_text() == ""
    kept = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert 1 <= len(kept) <= 6


def test_output_that_cannot_be_written(prompts: str, tmp_path: Path) -> None:
    child = through(
        lambda: (os.dup2(os.open("/dev/full", os.O_WRONLY), 1), None)[-1],
        (*SHORT, "--prompts", prompts, "--json"), tmp_path / "errors.txt",
    )  # fmt: skip
    assert ended(child) == 2
    assert (
        tmp_path / "errors.txt"
    ).read_text() == "error: standard output cannot be written: No space left on device\n"


def test_no_standard_output(prompts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    run("baseline/tiny", SHORT[2:], prompts=prompts, out=str(tmp_path / "out"), as_json=True)
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 6


def in_a_terminal(arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run the command with a terminal of 100 columns; return status and everything written to it."""
    child, terminal = pty.fork()
    if not child:
        status = 99
        try:
            os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
            os.environ.pop("NO_COLOR", None)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            main(arguments)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    written = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            written += os.read(terminal, 1 << 16)
        except OSError:  # the other side has ended
            break
    os.close(terminal)
    return ended(child), written.decode()


def test_in_a_terminal_the_canvas_fills_up() -> None:
    status, written = in_a_terminal(("run", "baseline/tiny", "decode.gen_length=64"))
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    assert "loading dllmkit/tiny" in text
    assert len(set(re.findall(r"step (\d+)", text))) > 1  # several frames
    panel, after = text.rindex("prompt 1 of 1"), text.rindex("How many")
    assert panel < after < text.rindex("tps_answer")  # the last frame, the answer, the metrics
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is back


def test_in_a_terminal_without_the_view(prompts: str) -> None:
    status, written = in_a_terminal((*SHORT, "--prompts", prompts, "--no-live"))
    assert (status, "step" in written, "[6/6]" in written) == (0, False, True)
    status, written = in_a_terminal((*SHORT, "--prompts", prompts, "--json"))
    assert status == 0
    assert [json.loads(line)["index"] for line in written.splitlines()] == list(range(6))
