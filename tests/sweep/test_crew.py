"""Giving jobs to workers that may die."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.evaluation.matchers import Exact
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.task import Task
from dllmkit.sweep.crew import Died, dispatch
from dllmkit.sweep.job import Job
from dllmkit.sweep.worker import Done, Failed

TASK = Task.of("one", [Problem("0", "x", "x", "all")], Exact())


def jobs(n: int) -> list[Job]:
    return [Job(i, f"job {i}", "", "", TASK, Path()) for i in range(n)]


class Mortals:
    """Workers that die as often as `deaths` says of a job; those that live finish in the order of `picks`."""

    def __init__(self, size: int, deaths: dict[int, int], picks: Any = None) -> None:
        self.size, self.left, self.picks = size, Counter(deaths), picks
        self.alive: set[int] = set()
        self.busy: dict[int, Job] = {}
        self.given: Counter[int] = Counter()

    def start(self, place: int) -> None:
        assert place not in self.busy
        self.alive.add(place)

    def give(self, place: int, job: Job) -> None:
        assert place in self.alive
        assert place not in self.busy
        self.busy[place] = job
        self.given[job.index] += 1

    def wait(self) -> tuple[int, Done | Failed | Died]:
        places = sorted(self.busy)
        place = self.picks.draw(st.sampled_from(places)) if self.picks else places[0]
        job = self.busy.pop(place)
        if self.left[job.index] > 0:
            self.left[job.index] -= 1
            self.alive.discard(place)
            return place, Died("it was ended by SIGKILL")
        return place, Done({"job": job.index})

    def close(self) -> None:
        pass


@given(st.integers(1, 4), st.integers(0, 6), st.dictionaries(st.integers(0, 5), st.integers(0, 4)), st.data())
def test_every_job_has_one_outcome(size, n, deaths, data) -> None:
    crew = Mortals(size, deaths, data)
    outcomes = dict((job.index, outcome) for job, outcome in dispatch(jobs(n), crew, attempts=3))  # noqa: C402
    assert sorted(outcomes) == list(range(n))
    for index, outcome in outcomes.items():
        died = deaths.get(index, 0)
        assert crew.given[index] == min(died + 1, 3)
        if died < 3:
            assert outcome == Done({"job": index})
        else:
            assert outcome == Failed("its worker died 3 times, the last time because it was ended by SIGKILL")


def test_no_more_workers_than_jobs() -> None:
    crew = Mortals(8, {})
    assert len(list(dispatch(jobs(2), crew))) == 2
    assert len(crew.alive) == 2


def test_a_failure_of_the_job_is_not_tried_again() -> None:
    class Refusing(Mortals):
        def wait(self) -> tuple[int, Done | Failed | Died]:
            place, _ = super().wait()
            return place, Failed("no")

    crew = Refusing(1, {})
    assert [outcome for _, outcome in dispatch(jobs(2), crew)] == [Failed("no")] * 2
    assert crew.given == {0: 1, 1: 1}


def test_results_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(0, "job", "", "", TASK, tmp_path / "jobs" / "000")
    monkeypatch.setattr(Path, "replace", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        job.finish({"answers": []})
    assert job.result is None
    monkeypatch.undo()
    job.finish({"answers": []})
    assert job.result == {"schema": 1, "answers": []}


def test_gpus_have_the_names_that_cuda_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from dllmkit.sweep.processes import visible_gpus

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert visible_gpus() == ["4", "7"]
