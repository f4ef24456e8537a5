"""What runs jobs, wherever it lives: in this process, in one beside it, or on a node of a cluster."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.errors import DllmkitError
from dllmkit.sweep.job import Job

if TYPE_CHECKING:
    from dllmkit.compare.folder import CompareFolder
    from dllmkit.compare.models import Models

PATIENCE = 10.0  # seconds that a worker which was cut off in the same folder gets to end


@dataclass(frozen=True, slots=True)
class Done:
    """The job is finished; `record` goes into its result file."""

    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The job cannot be done: the reason is in the job, and another attempt would find it again."""

    reason: str


class Worker:
    """Runs jobs one after another; keeps the model while jobs mean the same one."""

    def __init__(self, folder: str | None = None) -> None:
        """Start in the folder that paths in recipes are relative to, where it is not this process's already."""
        from dllmkit.compare.models import quiet
        from dllmkit.plugins import load_plugins

        if folder is not None and Path(folder).is_dir():
            os.chdir(folder)
        quiet()
        self._plugins = load_plugins()
        self._models: Models | None = None

    def attempt(self, job: Job) -> Done | Failed:
        """Run a job; whatever it raises is its failure, not the worker's."""
        try:
            return Done(self._run(job))
        except DllmkitError as error:
            return Failed(str(error))
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(str(error).split())
            return Failed(f"{type(error).__name__}: {said} ({Path(at.filename).name}, line {at.lineno})")

    def _run(self, job: Job) -> dict[str, Any]:
        import yaml

        from dllmkit.compare.contest import Contest
        from dllmkit.compare.models import Models
        from dllmkit.observe.metrics import environment, fingerprint
        from dllmkit.recipe import load_recipe

        recipe = load_recipe(yaml.safe_load(job.recipe), (), self._plugins)
        if recipe.hash != job.recipe_hash:
            raise DllmkitError("the recipe reads differently here: this worker has other versions or plugins")
        if self._models is None or not self._models.holds(recipe):
            self._models = Models(
                self._plugins.registry
            )  # the one before is let go first: there may be no room for two
        decoder = self._models.decoder(recipe)
        folder = _open(job)
        try:
            folder.started([fingerprint(decoder.model)], [environment(decoder.model)])
            Contest([decoder], job.task, folder).play()
        finally:
            folder.close()
        answers = [folder.answers[key].as_dict() for key in sorted(folder.answers)]
        return {
            "label": job.label, "recipe_hash": job.recipe_hash, "task": job.task.digest,
            "environments": folder.environments, "answers": answers,
        }  # fmt: skip


def _open(job: Job) -> CompareFolder:
    """Open the folder of a job, where an earlier attempt may have got on, or be about to end."""
    from dllmkit.compare.folder import CompareFolder

    identity = {"kind": "job", "task": job.task.digest, "recipes": [job.recipe_hash]}
    last = time.monotonic() + PATIENCE
    while True:
        try:
            return CompareFolder.open(job.folder, identity)
        except DllmkitError:
            if time.monotonic() > last:
                raise
            time.sleep(0.2)
