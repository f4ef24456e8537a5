"""Workers on a Ray cluster: the one that is running (RAY_ADDRESS, `ray start`), or a local one for the time of the sweep."""

from __future__ import annotations

import os
import signal
from types import ModuleType
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.sweep.crew import Died
from dllmkit.sweep.job import Job
from dllmkit.sweep.worker import Done, Failed, Worker


class Cluster:
    """A crew of Ray actors, one for each CPU, or for each GPU where the cluster has any."""

    def __init__(self, workers: int | None = None) -> None:
        self._ray = _import_ray()
        before = signal.getsignal(signal.SIGTERM)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ours = not self._ray.is_initialized()
        if self._ours:
            try:
                self._ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise DllmkitError(f"Ray cannot be reached or started: {' '.join(str(error).split())}") from None
        signal.signal(signal.SIGTERM, before)  # Ray has put its own handler there
        has = self._ray.cluster_resources()
        self._needs = {"num_gpus": 1, "num_cpus": 1} if has.get("GPU") else {"num_cpus": 1}
        self.size = max(1, int(has.get("GPU") or has.get("CPU", 1)))
        if workers is not None:
            self.size = min(self.size, workers)
        self._actors: dict[int, Any] = {}
        self._running: dict[Any, int] = {}

    def start(self, place: int) -> None:
        """Ask for an actor; Ray starts it where there is room."""
        self._actors[place] = self._ray.remote(Worker).options(max_restarts=0, **self._needs).remote(os.getcwd())

    def give(self, place: int, job: Job) -> None:
        """Send the job."""
        self._running[self._actors[place].attempt.remote(job)] = place

    def wait(self) -> tuple[int, Done | Failed | Died]:
        """Wait for the first actor that is through or dead."""
        (reference,), _ = self._ray.wait(list(self._running), num_returns=1)
        place = self._running.pop(reference)
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(reference)
        except (errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            return place, Died(" ".join(str(error).split())[:200])
        except errors.RayTaskError as error:  # what a worker cannot turn into a failure of the job, such as SystemExit
            return place, Failed(" ".join(str(error).split())[:200])
        assert isinstance(outcome, (Done, Failed))
        return place, outcome

    def close(self) -> None:
        """Kill the actors; leave the cluster, or end it if it was started for this sweep."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()


def _import_ray() -> ModuleType:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise DllmkitError("--launcher ray needs Ray, which is not installed: pip install 'dllmkit[sweep]'") from None
    module: ModuleType = ray
    return module
