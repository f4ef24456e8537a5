"""A sweep: the points of a grid, each a job, and the results of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.compare.document import Conditions, Contender, document
from dllmkit.errors import DllmkitError, RecipeError
from dllmkit.evaluation.task import Task
from dllmkit.sweep.crew import Crew, dispatch
from dllmkit.sweep.grid import Grid, hint
from dllmkit.sweep.job import Job
from dllmkit.sweep.worker import Failed

if TYPE_CHECKING:
    from dllmkit.plugins import LoadedPlugins

JOBS = "jobs"  # the folder of a sweep that holds those of its jobs


@dataclass(frozen=True, slots=True)
class Sweep:
    """Grid points that were read and checked, with their jobs."""

    contenders: Sequence[Contender]
    jobs: Sequence[Job]
    task: Task

    @classmethod
    def plan(cls, recipe: str, grid: Grid, task: Task, out: Path, plugins: LoadedPlugins) -> Sweep:
        """Read the recipe at every point of the grid; DllmkitError with everything that is wrong at any of them."""
        contenders = _contenders(recipe, grid, plugins)
        jobs = [
            Job(
                i, one.label, one.recipe.to_yaml(), one.recipe.hash, task,
                out.resolve() / JOBS / f"{i:03d}-{one.recipe.short_hash}",
            )
            for i, one in enumerate(contenders)
        ]  # fmt: skip
        return cls(contenders, jobs, task)

    @property
    def waiting(self) -> list[Job]:
        """Jobs that are not finished; DllmkitError if the result of one is of something else."""
        for job in self.jobs:
            result = job.result
            if result is not None and (result["recipe_hash"], result["task"]) != (job.recipe_hash, self.task.digest):
                raise DllmkitError(f"{job.folder} holds the result of another job: choose another folder for --out")
        return [job for job in self.jobs if job.result is None]

    def run(self, crew: Crew, on_job: Callable[[Job], None] = lambda job: None) -> None:
        """Run the jobs that wait; DllmkitError at the end if some failed, the others being finished."""
        failed = []
        for job, outcome in dispatch(self.waiting, crew):
            if isinstance(outcome, Failed):
                failed.append(f"  - {job.label}: {outcome.reason}")
            else:
                job.finish({**outcome.record, "workers": crew.size})
            on_job(job)
        if failed:
            count = f"{len(failed)} of {len(self.jobs)} jobs failed; the same command tries them again"
            raise DllmkitError("\n".join([count, *failed]))

    def results(self, tokenizer: Any) -> dict[str, Any]:
        """Put the results of all jobs together."""
        environments: list[dict[str, Any]] = []
        workers = 1
        for job in self.jobs:
            result = job.result
            assert result is not None
            workers = max(workers, result["workers"])
            environments += [found for found in result["environments"] if found not in environments]
        answers = [job.answers for job in self.jobs]
        conditions = Conditions(environments, workers, interleaved=False)
        return document("sweep", self.task, self.contenders, answers, tokenizer, conditions)


def _contenders(recipe: str, grid: Grid, plugins: LoadedPlugins) -> list[Contender]:
    from dllmkit.compare.models import Models
    from dllmkit.recipe import load_recipe

    models = Models(plugins.registry)
    contenders: list[Contender] = []
    problems: dict[str, None] = {}
    for point in grid.points:
        try:
            read = load_recipe(recipe, point.overrides, plugins)
            models.check(read)
        except RecipeError as error:
            problems |= dict.fromkeys(error.problems)
            continue
        contenders.append(Contender(grid.label(point), read, point.overrides, point.settings))
    if problems:
        raise RecipeError(recipe, [*problems, *hint(grid, list(problems))])
    first: dict[str, str] = {}
    for one in contenders:
        if one.recipe.hash in first:
            raise DllmkitError(f"two points of the grid are the same recipe: {first[one.recipe.hash]} and {one.label}")
        first[one.recipe.hash] = one.label
    return contenders
