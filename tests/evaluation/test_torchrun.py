"""Two processes of torchrun give what one process gives, byte for byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from evaluating import SHORT, SLOW, command, finished, lines, untimed
from shell import ROOT, python

from dllmkit.cli.eval import evaluate

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="torchrun with gloo")]

TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port")


def port(chosen: int) -> str:
    return str(20_000 + (os.getpid() * 7 + chosen) % 20_000)


def alone(out: Path, recipe: tuple[str, ...] = SHORT, limit: int = 15) -> None:
    """The same evaluation by one process: this one."""
    evaluate(recipe[0], recipe[1:], "tiny", limit=limit, out=str(out), as_json=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torchrun") / "whole"
    alone(folder)
    return folder


def test_two_processes_and_one(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = python(*TORCHRUN, port(1), "-m", "dllmkit", *command("--json", "--out", str(out), limit=15))
    assert done.status == 0, done.err
    assert (out / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    summary, single = json.loads(done.out), json.loads((whole / "summary.json").read_text())  # one process speaks
    assert untimed(summary) == untimed(single)
    assert (summary["processes"], single["processes"]) == (2, 1)
    assert {timing["rank"] for timing in lines(out / "timings.jsonl")} == {0, 1}
    assert not list(out.glob("*.rank*"))


def test_without_a_folder(whole: Path) -> None:
    done = python(*TORCHRUN, port(2), "-m", "dllmkit", *command("--json", limit=15))
    assert done.status == 0, done.err
    assert untimed(json.loads(done.out)) == untimed(json.loads((whole / "summary.json").read_text()))


def test_killed_at_random_moments_and_continued_by_one(tmp_path: Path) -> None:
    """Both processes are killed, each time at another moment; in the end one process finishes what two began."""
    out = tmp_path / "out"
    options = command("--out", str(out), limit=10, recipe=SLOW)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
    chance = random.Random(7)
    kept: set[int] = set()
    for attempt in range(2):
        torchrun = [sys.executable, *TORCHRUN, port(10 + attempt), "-m", "dllmkit", *options]
        child = subprocess.Popen(torchrun, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(finished(out)) == len(kept) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)  # until something is finished
        time.sleep(chance.uniform(0.0, 0.3))
        workers = children_of(child.pid)
        for process in [child.pid, *workers]:
            os.kill(process, signal.SIGKILL)
        child.wait()
        while any(map(alive, workers)):
            time.sleep(0.01)
        indices = finished(out)
        assert len(indices) == len(set(indices))
        assert kept < set(indices)
        kept = set(indices)
    assert len(kept) < 10
    alone(out, SLOW, 10)
    alone(tmp_path / "whole", SLOW, 10)
    assert (out / "samples.jsonl").read_bytes() == (tmp_path / "whole" / "samples.jsonl").read_bytes()


def children_of(process: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == process:
                found.append(int(stat.parent.name))
    return found


def alive(process: int) -> bool:
    """Whether a process still runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_failure_of_one_process_ends_the_others_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text("def f(text, problem):\n    return 1 if problem.id.endswith('/3') else True\n")
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), str(tmp_path)])
    done = python(*TORCHRUN, port(4), "-m", "dllmkit", *command("--matcher", "judge:f"), PYTHONPATH=path)
    assert done.status == 1
    assert "error: matcher judge:f returned 1 on problem tiny/0/3, expected true or false" in done.err
    assert "[rank0]: Traceback" not in done.err


def test_a_mistake_ends_all_processes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = python(*TORCHRUN, port(3), "-m", "dllmkit", *command("--out", str(tmp_path / "file" / "x")))
    assert done.status == 1  # torchrun's own
    assert f"error: {tmp_path / 'file' / 'x'} cannot be written: Not a directory" in done.err
