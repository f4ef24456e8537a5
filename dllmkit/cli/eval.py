"""`dllmkit eval`: how often a recipe is right, and what it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.cli.session import Terminated, clean_exit, load_decoder, memory_errors, output
from dllmkit.evaluation.shards import Group, processes

if TYPE_CHECKING:
    from rich.console import Console

    from dllmkit.evaluation.folder import EvaluationFolder, Writer
    from dllmkit.evaluation.runner import Evaluation
    from dllmkit.evaluation.sample import Sample, Timing
    from dllmkit.evaluation.task import Task


@dataclass(slots=True)
class _Done:
    """What is finished: by earlier sessions, and by this process."""

    samples: dict[int, Sample] = field(default_factory=dict)
    timings: dict[int, Timing] = field(default_factory=dict)
    session: int = 1

    def add(self, sample: Sample, timing: Timing) -> None:
        self.samples[sample.index], self.timings[timing.index] = sample, timing

    @property
    def line(self) -> str:
        """How far it is, in a few words."""
        right = sum(sample.correct for sample in self.samples.values())
        return f"{right} right of {len(self.samples)}"


def evaluate(
    recipe: str,
    overrides: Sequence[str],
    task: str,
    limit: int | None = None,
    seed: int = 0,
    matcher: str | None = None,
    out: str | None = None,
    as_json: bool = False,
    execute_code: bool = False,
) -> None:
    """Decode the problems of a task, judge the answers and print a summary; see `dllmkit eval --help`."""
    from dllmkit.evaluation.task import load_task

    with clean_exit():
        problems = load_task(task, limit=limit, seed=seed, matcher=matcher, execute_code=execute_code)
        with processes() as group:
            summary = _evaluate(recipe, overrides, problems, out, group)
            if group.first:
                _print(summary, as_json)


def _evaluate(recipe: str, overrides: Sequence[str], task: Task, out: str | None, group: Group) -> dict[str, Any]:
    from dllmkit.evaluation.runner import Evaluation
    from dllmkit.evaluation.summary import summarise
    from dllmkit.observe.metrics import environment
    from dllmkit.plugins import load_plugins
    from dllmkit.recipe import load_recipe

    plugins = load_plugins()
    if group.first:
        plugins.warn()
    read = load_recipe(recipe, overrides, plugins)
    evaluation = Evaluation(load_decoder(read, plugins.registry), task)
    evaluation.check()
    described = environment(evaluation.decoder.model)
    with _folder(out, evaluation, described, group) as folder:
        known = group.share(lambda: _known(folder))
        if known.summary is not None:
            return known.summary
        done = _decode(evaluation, known.done, out, group)
        for part in group.gather(done):
            done.samples |= part.samples
            done.timings |= part.timings
        summary = summarise(read, task, done.samples, done.timings, described)
        return folder.complete(summary) if folder is not None else summary


@dataclass(frozen=True, slots=True)
class _Known:
    """What the folder says before any work: what is finished, or that all is."""

    done: _Done
    summary: dict[str, Any] | None


def _known(folder: EvaluationFolder | None) -> _Known:
    if folder is None:
        return _Known(_Done(), None)
    return _Known(_Done({**folder.samples}, {**folder.timings}, folder.session), folder.summary())


@contextmanager
def _folder(
    out: str | None, evaluation: Evaluation, described: dict[str, Any], group: Group
) -> Iterator[EvaluationFolder | None]:
    """Open the folder in the first process; if that fails, it fails in all."""
    from dllmkit.evaluation.folder import EvaluationFolder

    task, recipe = evaluation.task, evaluation.decoder.recipe
    opened: list[EvaluationFolder] = []

    def open_() -> None:
        if out is not None:
            identity = {
                "recipe_hash": recipe.hash, "task": task.name, "matcher": task.matcher.name, "task_digest": task.digest,
                "weights": described["weights"],
            }  # fmt: skip
            opened.append(EvaluationFolder.open(Path(out), identity, recipe.to_yaml(), task.problems, described))

    group.share(open_)
    try:
        yield opened[0] if opened else None
    finally:
        for folder in opened:
            folder.close()


def _decode(evaluation: Evaluation, done: _Done, out: str | None, group: Group) -> _Done:
    """Decode this process's share of what is left; `done` grows."""
    from dllmkit.evaluation.folder import Writer

    total = len(evaluation.task.problems)
    left = group.mine([index for index in range(total) if index not in done.samples])
    writer: Writer | None = Writer.open(Path(out), group.rank) if out is not None else None
    try:
        with _progress(len(done.samples), len(done.samples) + len(left), group) as advance, memory_errors():
            for sample, timing in evaluation.run(left, done.session, group.rank):
                if writer is not None:
                    writer.add(sample, timing)
                done.add(sample, timing)
                advance(done)
    except KeyboardInterrupt as interrupt:
        name = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
        kept = f"the same command continues in {out}" if out is not None else "--out DIR would keep them"
        finished = f"{len(done.samples)} of {total} problems are finished" if group.size == 1 else "not all is finished"
        if group.first:
            print(f"{name}: {finished}; {kept}", file=sys.stderr)
        raise
    finally:
        if writer is not None:
            writer.close()
    return done


def _progress(finished: int, total: int, group: Group) -> AbstractContextManager[Any]:
    """Show a bar on standard error, if that is a terminal; its function takes what is done."""
    from rich.console import Console

    errors = Console(stderr=True)
    if not group.first or not errors.is_terminal or finished == total:
        return nullcontext(lambda done: None)
    return _bar(errors, finished, total)


@contextmanager
def _bar(console: Console, finished: int, total: int) -> Iterator[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=total, completed=finished)
        yield lambda done: progress.update(bar, completed=len(done.samples), description=done.line)


def _print(summary: dict[str, Any], as_json: bool) -> None:
    from dllmkit.cli.eval_report import report

    with output():
        if as_json:
            sys.stdout.write(json.dumps(summary) + "\n")
        else:
            from dllmkit.cli.run import UnbrokenConsole

            report(summary, UnbrokenConsole(highlight=False))
