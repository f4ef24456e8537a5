"""Workers that are killed in the middle of a job: nothing finished is lost, and the sweep goes on."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dllmkit.compare.folder import ANSWERS
from dllmkit.evaluation.task import load_task
from dllmkit.plugins import load_plugins
from dllmkit.sweep.crew import Alone, Crew
from dllmkit.sweep.grid import Grid
from dllmkit.sweep.processes import Processes
from dllmkit.sweep.sweep import Sweep

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


def planned(out: Path) -> Sweep:
    """Three jobs of a second or two each."""
    grid = Grid.parse(["decode.gen_length=40", "decode.block_scheduler.block_length=[8,20,40]"])
    return Sweep.plan("baseline/tiny", grid, load_task("tiny:math", limit=4, seed=2), out, load_plugins())


def writers(path: Path) -> list[int]:
    """The processes that have a file open."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                links = [os.readlink(link) for link in (process / "fd").iterdir()]
            except OSError:  # it has ended, or is another user's
                continue
            if str(path) in links:
                found.append(int(process.name))
    return found


class Killer(threading.Thread):
    """Kills the worker of one job once it has finished an answer, and remembers what was there then."""

    def __init__(self, sweep: Sweep, index: int) -> None:
        super().__init__(daemon=True)
        self.sweep, self.path = sweep, sweep.jobs[index].folder / ANSWERS
        self.killed: int | None = None
        self.results: dict[int, bytes] = {}
        self.lines: list[str] = []

    def run(self) -> None:
        last = time.monotonic() + 120
        while time.monotonic() < last:
            if self.path.exists() and self.path.read_text().count("\n") and (found := writers(self.path)):
                self.results = finished(self.sweep)
                self.killed = found[0]
                os.kill(self.killed, signal.SIGKILL)
                self.lines = self.path.read_text().splitlines(keepends=True)
                return
            time.sleep(0.01)


def finished(sweep: Sweep) -> dict[int, bytes]:
    return {job.index: (job.folder / "result.json").read_bytes() for job in sweep.jobs if job.result is not None}


def told(sweep: Sweep) -> list[list[tuple[bool, list[int], int]]]:
    return [[(a.right, a.result.tokens, a.result.nfe) for a in job.answers] for job in sweep.jobs]


def killed_and_gone_on(crew: Crew, tmp_path: Path) -> None:
    """Run a sweep, kill the worker of its last job in the middle, and compare with a sweep in one piece."""
    sweep, alone = planned(tmp_path / "out"), planned(tmp_path / "alone")
    killer = Killer(sweep, index=2)
    killer.start()
    try:
        sweep.run(crew)
    finally:
        crew.close()
    assert killer.killed not in (None, os.getpid())
    assert finished(sweep).items() >= killer.results.items()  # no finished job was touched
    assert not sweep.waiting
    alone.run(Alone())
    assert told(sweep) == told(alone)
    kept = [json.loads(line) for line in killer.lines if line.endswith("\n")]
    after = json.loads((sweep.jobs[2].folder / "result.json").read_text())["answers"]
    assert kept
    assert all(answer in after for answer in kept)  # what the dead worker had finished was not decoded again


def test_a_killed_process(tmp_path: Path) -> None:
    killed_and_gone_on(Processes(2), tmp_path)


def test_a_killed_sweep_takes_its_processes_along(tmp_path: Path) -> None:
    from shell import ended, forked

    command = (
        "sweep", "baseline/tiny", "decode.block_scheduler.block_length=[16,32]", "--task", "tiny", "--limit", "5",
        "--workers", "2", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    child = forked(command, tmp_path / "printed.txt")
    last = time.monotonic() + 120
    workers: list[int] = []
    while not workers and time.monotonic() < last:
        workers = [pid for path in (tmp_path / "out").glob(f"jobs/*/{ANSWERS}") for pid in writers(path)]
        time.sleep(0.01)
    assert workers
    os.kill(child, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL
    last = time.monotonic() + 10
    while any(running(pid) for pid in workers) and time.monotonic() < last:
        time.sleep(0.02)
    assert not any(running(pid) for pid in workers)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A local Ray cluster of two CPUs."""
    module = pytest.importorskip("ray", reason="Ray is not installed: pip install 'dllmkit[sweep]'")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # or it would write a token to the home folder
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    module.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield module
    module.shutdown()


def test_a_killed_ray_worker(ray: Any, tmp_path: Path) -> None:
    from dllmkit.sweep.cluster import Cluster

    cluster = Cluster()
    assert cluster.size == 2
    killed_and_gone_on(cluster, tmp_path)
    assert ray.is_initialized()  # a cluster that was there before is left


def test_a_gpu_for_each_job_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("ray", reason="Ray is not installed: pip install 'dllmkit[sweep]'")
    from dllmkit.sweep.cluster import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    module.init(num_cpus=8, num_gpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        cluster = Cluster()
        assert cluster.size == 3
        assert Cluster(workers=2).size == 2
        for place in range(3):
            cluster.start(place)
        last = time.monotonic() + 90
        while module.available_resources().get("GPU", 0) and time.monotonic() < last:
            time.sleep(0.1)
        assert not module.available_resources().get("GPU", 0)  # three actors hold the three GPUs
        cluster.close()
    finally:
        module.shutdown()
