"""Workers in processes of their own, on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from dllmkit.sweep.crew import Died
from dllmkit.sweep.job import Job
from dllmkit.sweep.worker import Done, Failed


@dataclass(slots=True)
class Processes:
    """A crew of processes; each has a share of the CPU's threads, and a GPU of its own as far as there are any."""

    size: int
    gpus: Sequence[str] = ()
    _workers: dict[int, tuple[BaseProcess, Connection]] = field(default_factory=dict)

    def start(self, place: int) -> None:
        """Start a process, which loads nothing before its first job."""
        self._end(place)
        context = multiprocessing.get_context("spawn")  # a fork would share what torch has started
        ours, theirs = context.Pipe()
        gpu = self.gpus[place % len(self.gpus)] if self.gpus else None
        threads = max(1, (os.cpu_count() or 1) // self.size)
        process = context.Process(target=serve, args=(theirs, gpu, threads), daemon=True)
        process.start()
        theirs.close()
        self._workers[place] = process, ours

    def give(self, place: int, job: Job) -> None:
        """Send the job; a process that is dead already is found out by `wait`."""
        with suppress(OSError):
            self._workers[place][1].send(job)

    def wait(self) -> tuple[int, Done | Failed | Died]:
        """Wait for an answer, or for the end of a process."""
        places = {connection: place for place, (_, connection) in self._workers.items()}
        ready = wait(list(places))[0]
        assert isinstance(ready, Connection)
        place = places[ready]
        try:
            outcome: Any = ready.recv()
        except (EOFError, OSError):
            process = self._workers[place][0]
            process.join()
            return place, Died(_reason(process.exitcode))
        assert isinstance(outcome, (Done, Failed))
        return place, outcome

    def close(self) -> None:
        """Kill all processes: what they have finished is on the disk."""
        for place in list(self._workers):
            self._end(place)

    def _end(self, place: int) -> None:
        if place in self._workers:
            process, connection = self._workers.pop(place)
            connection.close()
            process.kill()
            process.join()


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(i) for i in range(count)]


def serve(jobs: Connection, gpu: str | None, threads: int) -> None:
    """Run jobs as they come, until nobody sends any: what a process of the crew does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the sweep ends them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is imported
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    from dllmkit.sweep.worker import Worker

    worker = Worker()
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            return
        jobs.send(worker.attempt(job))


def _end_with_parent() -> None:
    """A sweep that is killed takes its workers along: another one may continue in the same folder at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _reason(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"it was ended by {name}" + (" (was there enough memory?)" if name == "SIGKILL" else "")
    return f"it ended with status {status}"
