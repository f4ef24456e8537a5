"""Giving jobs to workers, and what happens when one dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dllmkit.sweep.job import Job
from dllmkit.sweep.worker import Done, Failed, Worker

ATTEMPTS = 3  # workers that a job may cost


@dataclass(frozen=True, slots=True)
class Died:
    """The worker ended in the middle of the job: killed, out of memory, its node gone."""

    reason: str


class Crew(Protocol):
    """Workers at numbered places."""

    @property
    def size(self) -> int:
        """How many places there are."""
        ...

    def start(self, place: int) -> None:
        """Put a fresh worker at a place."""
        ...

    def give(self, place: int, job: Job) -> None:
        """Let the worker at a place, which has nothing to do, run a job."""
        ...

    def wait(self) -> tuple[int, Done | Failed | Died]:
        """Wait until a worker is through, and say which and how."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


def dispatch(jobs: Sequence[Job], crew: Crew, attempts: int = ATTEMPTS) -> Iterator[tuple[Job, Done | Failed]]:
    """Run jobs and yield each with its outcome; a job whose worker died gets another one, up to `attempts` in all."""
    waiting = deque((job, 1) for job in jobs)
    busy: dict[int, tuple[Job, int]] = {}
    idle: list[int] = []
    for place in range(min(crew.size, len(jobs))):
        crew.start(place)
        idle.append(place)
    while waiting or busy:
        while waiting and idle:
            place = idle.pop(0)
            busy[place] = waiting.popleft()
            crew.give(place, busy[place][0])
        place, outcome = crew.wait()
        job, attempt = busy.pop(place)
        idle.append(place)
        if not isinstance(outcome, Died):
            yield job, outcome
            continue
        crew.start(place)
        if attempt < attempts:
            waiting.appendleft((job, attempt + 1))
        else:
            yield job, Failed(f"its worker died {attempt} times, the last time because {outcome.reason}")


class Alone:
    """A crew of one, this process."""

    size = 1

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._job: Job | None = None

    def start(self, place: int) -> None:
        """Load what a worker needs."""
        self._worker = Worker()

    def give(self, place: int, job: Job) -> None:
        """Note the job: it is run while the sweep waits for it."""
        self._job = job

    def wait(self) -> tuple[int, Done | Failed | Died]:
        """Run the job."""
        assert self._worker is not None
        assert self._job is not None
        return 0, self._worker.attempt(self._job)

    def close(self) -> None:
        """Nothing is left to be ended."""
