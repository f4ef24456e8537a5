"""`dllmkit run`: decode prompts with a recipe."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dllmkit.cli.prompts import Prompt, collect
from dllmkit.cli.session import Terminated, clean_exit, load_decoder, memory_errors, output
from dllmkit.errors import DllmkitError
from dllmkit.rundir import RunFolder

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder
    from dllmkit.observe.live import LiveView
    from dllmkit.observe.metrics import Metrics
    from dllmkit.result import Result
    from dllmkit.slots import Observer


class UnbrokenConsole(Console):
    """A console that leaves a closed pipe to `clean_exit`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@dataclass(slots=True)
class _Printer:
    """Standard output of a run: JSON lines, or answers for people."""

    decoder: Decoder
    prompts: Sequence[Prompt]
    as_json: bool
    console: Console

    def result(self, result: Result) -> None:
        """Print a result when it is finished."""
        with output():
            if self.as_json:
                record = {**asdict(result), "query_tokens": result.query_tokens, "attended": result.attended}
                sys.stdout.write(json.dumps({**record, "recipe_hash": self.decoder.recipe.hash}) + "\n")
            else:
                self._answer(result)

    def _answer(self, result: Result) -> None:
        from dllmkit.observe.live import printable

        prompt, answer = self.prompts[result.index], result.text
        asked = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        if answer is None:
            answer = " ".join(map(str, result.generation[: result.answer_length]))
        number = f"[{result.index + 1}/{len(self.prompts)}] " if len(self.prompts) > 1 else ""
        self.console.print(Text(number + printable(asked), "dim"), soft_wrap=True)
        self.console.print(Text(printable(answer).strip("\n") + "\n"), soft_wrap=True)

    def metrics(self, metrics: Metrics) -> None:
        """Print the figures of the whole run."""
        if not self.as_json:
            with output():
                self.console.print(metrics_table(metrics))


@dataclass(slots=True)
class _Progress:
    """What is finished, and the decode time up to now."""

    results: dict[int, Result] = field(default_factory=dict)
    seconds: float = 0.0


def run(
    recipe: str,
    overrides: Sequence[str] = (),
    prompt: Sequence[str] = (),
    prompts: str | None = None,
    out: str | None = None,
    as_json: bool = False,
    live: bool | None = None,
    explain: bool = False,
) -> None:
    """Decode prompts with a recipe and print answers and metrics; see `dllmkit run --help`."""
    with clean_exit():
        _run(recipe, overrides, prompt, prompts, out, as_json, live, explain)


def _run(
    recipe: str, overrides: Sequence[str], prompt: Sequence[str], prompts: str | None, out: str | None,
    as_json: bool, live: bool | None, explain: bool,
) -> None:  # fmt: skip
    from dllmkit.plugins import load_plugins
    from dllmkit.recipe import load_recipe

    if explain and out is None:
        raise DllmkitError("--explain writes into the trace of a run folder: add --out DIR")
    plugins = load_plugins()
    plugins.warn()
    read = load_recipe(recipe, overrides, plugins)  # a bad recipe is reported without waiting for standard input
    chosen = collect(prompt, prompts, read.prompts.samples)
    console = UnbrokenConsole(highlight=False)
    view = _view_console(console, as_json, live)
    with nullcontext() if view is None else view.status(f"loading {read.model.path}"):
        decoder = load_decoder(read, plugins.registry)
    decoder.requests(chosen, chat=read.prompts.chat)  # every prompt is checked before the first is decoded
    printer = _Printer(decoder, chosen, as_json, console)
    folder = _open(out, decoder, chosen) if out is not None else None
    try:
        done = _decode(printer, folder, view, explain)
        from dllmkit.observe.metrics import Metrics

        metrics = Metrics.of([done.results[i] for i in sorted(done.results)], done.seconds)
        if folder is not None:
            folder.close({"metrics": metrics.as_dict(), "recipe": read.resolved, "recipe_hash": read.hash})
    finally:
        if folder is not None:
            folder.close()
    printer.metrics(metrics)


def _open(out: str, decoder: Decoder, prompts: Sequence[Prompt]) -> RunFolder:
    from dllmkit.observe.metrics import environment

    recipe = decoder.recipe
    return RunFolder.open(Path(out), recipe.hash, recipe.to_yaml(), prompts, environment(decoder.model))


def _decode(printer: _Printer, folder: RunFolder | None, view: Console | None, explain: bool) -> _Progress:
    """Decode what is not finished yet, and print every result: those of earlier runs first."""
    from dllmkit.observe.trace import Trace

    decoder, prompts = printer.decoder, printer.prompts
    done = _Progress({**folder.finished}, folder.seconds) if folder is not None else _Progress()
    for index in sorted(done.results):
        printer.result(done.results[index])
    observers: list[Observer] = []
    if folder is not None:
        text = functools.partial(_text, decoder)
        observers.append(Trace(file=folder.trace, keep=False, text_of=text, details=explain))
    start = decoder.clock - done.seconds
    try:
        with _live(decoder, view, len(prompts), len(done.results)) as shown, memory_errors():
            if shown is not None:
                observers.append(shown)
            for result in decoder.finished(
                prompts, chat=decoder.recipe.prompts.chat, observers=observers, skip=frozenset(done.results)
            ):
                done.seconds = decoder.clock - start
                done.results[result.index] = result
                if folder is not None:
                    folder.add(result, done.seconds)
                if shown is None or len(prompts) > 1:
                    printer.result(result)
        if shown is not None and len(prompts) == 1:  # below the last frame
            printer.result(done.results[0])
    except KeyboardInterrupt as interrupt:
        name = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
        kept = f"the same command continues in {folder.path}" if folder is not None else "--out DIR would keep them"
        print(f"{name}: {len(done.results)} of {len(prompts)} prompts are finished; {kept}", file=sys.stderr)
        raise
    return done


def _text(decoder: Decoder, token: int) -> str | None:
    return decoder.text([token], specials=True)


def _view_console(console: Console, as_json: bool, live: bool | None) -> Console | None:
    """Where the live view goes: standard output, or standard error if the former is not for people; None if nowhere."""
    if console.is_terminal and not as_json:
        return console if live is not False else None
    errors = Console(stderr=True, highlight=False)
    wanted = errors.is_terminal and not console.is_terminal if live is None else live
    return errors if wanted else None


def _live(decoder: Decoder, view: Console | None, total: int, done: int) -> AbstractContextManager[LiveView | None]:
    if view is None or done == total:
        return nullcontext()
    from dllmkit.observe.live import LiveView

    return LiveView(
        lambda token: f"{token} " if (text := _text(decoder, token)) is None else text,
        view, total, done, decoder.model.architecture.special.eos_ids,
    )  # fmt: skip


def metrics_table(metrics: Metrics) -> Table:
    """Lay the metrics out with the definition of each."""
    from dllmkit.observe.metrics import DEFINITIONS

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in metrics.as_dict().items():
        if value is None and name in ("accuracy", "flops"):
            continue  # a run judges nothing and counts no operations; metrics.json has them as null
        shown = "not measured" if value is None else f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        table.add_row(name, shown, Text(DEFINITIONS.get(name, ""), "dim"))
    return table
