"""`dllmkit sweep`, as the shell sees it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from shell import call, ended, forked

from dllmkit.compare.folder import ANSWERS, REPORT, RESULTS, RUN
from dllmkit.sweep.job import RESULT

GRID = ("decode.unmask_selector.tau=[0.6,0.9]", "decode.block_scheduler.block_length=[16,32]")
COMMAND = ("sweep", "streaming+dsb", *GRID, "--task", "tiny", "--limit", "3")
TIMES = {"seconds", "tps", "tps_answer", "environments", "front"}


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def jobs(folder: Path) -> dict[str, bytes]:
    """The results of finished jobs."""
    return {path.parent.name: path.read_bytes() for path in folder.glob(f"jobs/*/{RESULT}")}


def contents(folder: Path) -> tuple[Any, dict[str, Any]]:
    held = {name: untimed(json.loads(text)) for name, text in jobs(folder).items()}
    return untimed(json.loads((folder / RESULTS).read_text())), held


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that ran in one piece."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    assert ended(forked((*COMMAND, "--out", str(out)), out.parent / "printed.txt")) == 0
    return out


def test_what_it_leaves(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {RUN, RESULTS, REPORT, "jobs"}
    results = json.loads((finished / RESULTS).read_text())
    labels = [f"tau={tau}, block_length={length}" for tau in (0.6, 0.9) for length in (16, 32)]
    assert [row["label"] for row in results["contenders"]] == labels
    assert results["contenders"][1]["settings"] == {
        "decode.unmask_selector.tau": 0.6,
        "decode.block_scheduler.block_length": 32,
    }
    assert set(results["differing_keys"]) == {"decode.unmask_selector.tau", "decode.block_scheduler.block_length"}
    assert results["curve"]["aup"] > 0
    assert len(jobs(finished)) == 4
    for row, (name, text) in zip(results["contenders"], sorted(jobs(finished).items()), strict=True):
        held = json.loads(text)
        assert name.endswith(row["hash"][:12])
        assert row["metrics"]["nfe"] == sum(answer["result"]["nfe"] for answer in held["answers"])
        assert row["metrics"]["prompts"] == len(held["answers"]) == 3
    printed = (finished.parent / "printed.txt").read_text()
    assert "AUP along the grid:" in printed
    assert f"report: {finished / REPORT}" in printed


def test_a_finished_sweep_is_only_printed_again(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.sweep.worker import Worker

    monkeypatch.delattr(Worker, "attempt")
    again = call(capsys, *COMMAND, "--out", str(finished))
    assert (again.status, again.out) == (0, (finished.parent / "printed.txt").read_text())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_finished_jobs_are_not_repeated(tmp_path: Path, finished: Path, number: signal.Signals) -> None:
    out = tmp_path / "cut"
    child = forked((*COMMAND, "--out", str(out)), tmp_path / "first.txt")
    while len(jobs(out)) < 2 and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)
    os.kill(child, number)
    assert ended(child) == (-number if number == signal.SIGKILL else 128 + number)
    kept = jobs(out)
    assert 2 <= len(kept) < 4
    if number == signal.SIGTERM:
        said = f"terminated: {len(kept)} of 4 jobs are finished; the same command continues in {out}\n"
        assert (tmp_path / "first.txt").read_text() == said
    assert ended(forked((*COMMAND, "--out", str(out)), tmp_path / "second.txt")) == 0
    assert jobs(out).items() >= kept.items()
    assert contents(out) == contents(finished)


def test_every_point_is_checked_before_any_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = ("decode.unmask_selector.tau=[0.9,1.5]", "decode.gen_lenght=[8]", "decode.stop_rules=[eos]")
    outcome = call(capsys, "sweep", "streaming+dsb", *bad, "--task", "tiny", "--out", str(tmp_path / "out"))
    assert outcome.status == 2
    assert "decode.unmask_selector.tau = 1.5, expected" in outcome.err
    assert "did you mean 'gen_length'?" in outcome.err
    assert "a value that is a list is written decode.stop_rules=[[a, b]]" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("decode.seed=[1,1]", "--task", "tiny"), "two points of the grid are the same recipe: seed=1 and seed=1"),
        (("decode.seed=1", "--task", "tiny"), "nothing varies"),
        (("decode.sampler=[gumbel]", "decode.top_k=[3]", "--task", "tiny"), "has no top-p or top-k"),
        (("decode.seed=[1,2]", "--task", "tiny", "--launcher", "locally"), "did you mean 'local'?"),
        (("decode.seed=[1,2]", "--task", "none.jsonl"), "there is no task file none.jsonl"),
    ],
)
def test_mistakes_are_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    outcome = call(capsys, "sweep", "baseline/tiny", *arguments, "--out", str(tmp_path / "out"))
    assert (outcome.status, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_another_grid_is_refused(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ("sweep", "streaming+dsb", GRID[0], "--task", "tiny", "--limit", "3", "--out", str(finished))
    outcome = call(capsys, *other)
    assert outcome.status == 2
    assert f"{finished} holds a run of other recipes" in outcome.err


def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = (
        "sweep",
        "streaming+dsb",
        "decode.gen_length=[32,4000]",
        "--task",
        "tiny",
        "--limit",
        "1",
        "--out",
        str(out),
    )
    outcome = call(capsys, *command)
    assert outcome.status == 2
    assert "1 of 2 jobs failed; the same command tries them again" in outcome.err
    assert "  - gen_length=4000: prompt 0 has" in outcome.err
    assert len(jobs(out)) == 1
    assert not (out / RESULTS).exists()


def test_without_ray_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    outcome = call(capsys, *COMMAND, "--launcher", "ray", "--out", str(tmp_path / "out"))
    assert outcome.status == 2
    assert outcome.err == "error: --launcher ray needs Ray, which is not installed: pip install 'dllmkit[sweep]'\n"


def test_a_worker_takes_up_what_another_had_begun(tmp_path: Path) -> None:
    """Answers of a job that was cut off are kept, and only the others decoded."""
    from dllmkit.compare.answer import Answer
    from dllmkit.evaluation.task import load_task
    from dllmkit.plugins import load_plugins
    from dllmkit.sweep.grid import Grid
    from dllmkit.sweep.sweep import Sweep
    from dllmkit.sweep.worker import Done, Worker

    planned = Sweep.plan(
        "streaming+dsb", Grid.parse(["decode.seed=[0]"]), load_task("tiny", limit=2), tmp_path, load_plugins()
    )
    (job,) = planned.jobs
    first = Worker().attempt(job)
    assert isinstance(first, Done)
    lines = (job.folder / ANSWERS).read_text().splitlines()
    (job.folder / ANSWERS).write_text(lines[0] + "\n" + lines[1][:40])  # the second line is torn
    second = Worker().attempt(job)
    assert isinstance(second, Done)
    assert second.record["answers"][0] == first.record["answers"][0]  # its seconds too: it was not decoded again
    before, after = (Answer.read(one.record["answers"][1]) for one in (first, second))
    assert before.result.tokens == after.result.tokens
    assert before.seconds != after.seconds
