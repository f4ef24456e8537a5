"""`dllmkit sweep`: a recipe over a grid of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.cli.compare import progress, say_interrupted, show
from dllmkit.cli.problems import Problems
from dllmkit.cli.session import clean_exit
from dllmkit.errors import DllmkitError, nearest

if TYPE_CHECKING:
    from dllmkit.compare.folder import CompareFolder
    from dllmkit.plugins import LoadedPlugins
    from dllmkit.sweep.crew import Crew
    from dllmkit.sweep.sweep import Sweep

LAUNCHERS = ("local", "ray")


def sweep(
    recipe: str, grid: Sequence[str], problems: Problems, out: str, launcher: str = "local", workers: int | None = None,
    as_json: bool = False,
) -> None:  # fmt: skip
    """Run a recipe at every point of a grid and print, write and draw the results; see `dllmkit sweep --help`."""
    with clean_exit():
        from dllmkit.plugins import load_plugins
        from dllmkit.sweep.grid import Grid
        from dllmkit.sweep.sweep import Sweep

        if launcher not in LAUNCHERS:
            raise DllmkitError(f"there is no launcher {launcher!r}: {nearest(launcher, LAUNCHERS)}")
        plugins = load_plugins()
        plugins.warn()
        planned = Sweep.plan(recipe, Grid.parse(grid), problems.load(), Path(out), plugins)
        results = _results(planned, Path(out), launcher, workers, plugins)
        show(results, Path(out), as_json)


def _results(planned: Sweep, out: Path, launcher: str, workers: int | None, plugins: LoadedPlugins) -> dict[str, Any]:
    from dllmkit.compare.folder import CompareFolder
    from dllmkit.compare.report.page import write_report

    identity = {
        "kind": "sweep", "task": planned.task.digest, "recipes": [one.recipe.hash for one in planned.contenders]
    }  # fmt: skip
    folder = CompareFolder.open(out, identity)
    try:
        results = folder.results
        if results is None:
            results = _run(planned, folder, launcher, workers, plugins)
            write_report(results, out)
            folder.complete(results)
        else:
            write_report(results, out, unless_there=True)
    finally:
        folder.close()
    return results


def _run(
    planned: Sweep, folder: CompareFolder, launcher: str, workers: int | None, plugins: LoadedPlugins
) -> dict[str, Any]:
    from dllmkit.compare.models import Models

    waiting, total = len(planned.waiting), len(planned.jobs)
    try:
        if waiting:
            with _crew(launcher, workers, waiting) as crew, progress(total, total - waiting, "jobs") as advance:
                planned.run(crew, lambda job: advance(job.label))
    except KeyboardInterrupt as interrupt:
        say_interrupted(interrupt, f"{total - len(planned.waiting)} of {total} jobs", folder.path)
        raise
    return planned.results(Models(plugins.registry).tokenizer(planned.contenders[0].recipe))


@contextmanager
def _crew(launcher: str, workers: int | None, jobs: int) -> Iterator[Crew]:
    """The workers that a launcher has, no more of them than jobs; they end with the context."""
    crew: Crew
    if launcher == "ray":
        from dllmkit.sweep.cluster import Cluster

        crew = Cluster(min(workers, jobs) if workers is not None else jobs)
    elif (workers or 1) > 1:
        from dllmkit.sweep.processes import Processes, visible_gpus

        crew = Processes(min(workers or 1, jobs), visible_gpus())
    else:
        from dllmkit.sweep.crew import Alone

        crew = Alone()
    try:
        yield crew
    finally:
        crew.close()
