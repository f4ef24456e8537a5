"""`dllmkit compare`: recipes side by side on the same problems."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from dllmkit.cli.problems import Problems
from dllmkit.cli.session import Terminated, clean_exit, memory_errors, output
from dllmkit.errors import DllmkitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dllmkit.compare.answer import Answer
    from dllmkit.compare.document import Contender
    from dllmkit.compare.folder import CompareFolder
    from dllmkit.evaluation.task import Task
    from dllmkit.plugins import LoadedPlugins


def compare(
    recipes: Sequence[str], problems: Problems, out: str, overrides: Sequence[str] = (), as_json: bool = False
) -> None:
    """Decode a task with several recipes and print, write and draw how they compare; see `dllmkit compare --help`."""
    with clean_exit():
        from dllmkit.plugins import load_plugins

        plugins = load_plugins()
        plugins.warn()
        contenders = _contenders(recipes, overrides, plugins)
        results = _results(contenders, problems.load(), Path(out), plugins)
        show(results, Path(out), as_json)


def show(results: dict[str, Any], out: Path, as_json: bool) -> None:
    """Print the results: figures and where the report is, or JSON without the problems' answers."""
    from dllmkit.compare.folder import REPORT
    from dllmkit.compare.table import tables

    with output():
        if as_json:
            print(json.dumps({key: value for key, value in results.items() if key != "problems"}))
            return
        console = Console(highlight=False)
        for table in tables(results):
            console.print(table)
            console.print()
        console.print(Text(f"report: {out / REPORT}"), soft_wrap=True)


def _contenders(recipes: Sequence[str], overrides: Sequence[str], plugins: LoadedPlugins) -> list[Contender]:
    """Read all recipes before anything is loaded; two that resolve to the same are a mistake."""
    from dllmkit.compare.document import Contender
    from dllmkit.errors import RecipeError
    from dllmkit.recipe import load_recipe

    if len(recipes) < 2:
        raise DllmkitError("compare needs at least two recipes; dllmkit eval measures one")
    contenders: list[Contender] = []
    problems: list[str] = []
    for name in recipes:
        try:
            read = load_recipe(name, overrides, plugins)
        except RecipeError as error:
            problems.append(str(error))
            continue
        same = next((one.label for one in contenders if one.recipe.hash == read.hash), None)
        if same is not None:
            problems.append(f"{name} is the same recipe as {same}, every value included")
        contenders.append(Contender(name.removeprefix("recipes/").removesuffix(".yaml"), read, tuple(overrides)))
    if problems:
        raise DllmkitError("\n".join(problems))
    return contenders


def _results(contenders: Sequence[Contender], task: Task, out: Path, plugins: LoadedPlugins) -> dict[str, Any]:
    from dllmkit.compare.folder import CompareFolder
    from dllmkit.compare.report.page import write_report

    identity = {"kind": "compare", "task": task.digest, "recipes": [one.recipe.hash for one in contenders]}
    folder = CompareFolder.open(out, identity)
    try:
        results = folder.results
        if results is None:
            results = _play(contenders, task, folder, plugins)
            write_report(results, out)
            folder.complete(results)
        else:
            write_report(results, out, unless_there=True)
    finally:
        folder.close()
    return results


def _play(contenders: Sequence[Contender], task: Task, folder: CompareFolder, plugins: LoadedPlugins) -> dict[str, Any]:
    from dllmkit.compare.contest import Contest
    from dllmkit.compare.document import Conditions, document
    from dllmkit.compare.models import Models, quiet
    from dllmkit.observe.metrics import environment, fingerprint

    quiet()
    models = Models(plugins.registry)
    for one in contenders:
        models.check(one.recipe)
    total = len(contenders) * len(task.problems)
    try:
        with memory_errors(), progress(total, len(folder.answers), "answers") as advance:
            decoders = [models.decoder(one.recipe) for one in contenders]
            folder.started([fingerprint(d.model) for d in decoders], [environment(d.model) for d in decoders])
            Contest(decoders, task, folder).play(lambda answer: advance(contenders[answer.contender].label))
    except KeyboardInterrupt as interrupt:
        say_interrupted(interrupt, f"{len(folder.answers)} of {total} answers", folder.path)
        raise
    return document(
        "compare", task, contenders, in_order(folder.answers, len(contenders), len(task.problems)),
        decoders[0].model.tokenizer, Conditions(folder.environments),
    )  # fmt: skip


def say_interrupted(interrupt: KeyboardInterrupt, finished: str, path: Path) -> None:
    """Say on standard error what is kept, and how to go on."""
    name = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
    print(f"{name}: {finished} are finished; the same command continues in {path}", file=sys.stderr)


def in_order(answers: dict[tuple[int, int], Answer], contenders: int, problems: int) -> list[list[Answer]]:
    """Lay the answers out: a list for each contender, in the order of the problems."""
    return [[answers[i, j] for j in range(problems)] for i in range(contenders)]


@contextmanager
def progress(total: int, done: int, unit: str) -> Iterator[Callable[[str], None]]:
    """Show on standard error, if that is a terminal, how far the work is; yield what is called after each piece of it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    said = TextColumn("{task.description}", markup=False)
    columns = (said, BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        bar = shown.add_task("loading", total=total, completed=done)
        yield lambda what: shown.update(bar, advance=1, description=what)
