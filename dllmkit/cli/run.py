"""`dllmkit run`: decode prompts with a recipe."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dllmkit.cli.prompts import Prompt, collect
from dllmkit.errors import DllmkitError
from dllmkit.rundir import RunFolder

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder
    from dllmkit.observe.metrics import Metrics
    from dllmkit.result import Result
    from dllmkit.slots import Observer


def run(
    recipe: str,
    overrides: Sequence[str] = (),
    prompt: Sequence[str] = (),
    prompts: str | None = None,
    out: str | None = None,
    as_json: bool = False,
    live: bool | None = None,
) -> None:
    """Decode prompts with a recipe and print answers and metrics; see `dllmkit run --help`."""
    from dllmkit.recipe import load_recipe

    read = load_recipe(recipe, overrides)  # before the prompts: a bad recipe is reported without waiting for standard input
    chosen = collect(prompt, prompts, read.prompts.samples)
    from dllmkit.decoder import Decoder  # torch is imported from here on

    decoder = Decoder.from_recipe(recipe, overrides)
    decoder.requests(chosen, chat=_chat(decoder))  # every prompt is checked before the first is decoded
    console = Console(highlight=False)
    live = (console.is_terminal and not as_json) if live is None else live
    folder = _open(out, decoder, chosen) if out else None
    earlier = dict(folder.finished) if folder else {}
    results, seconds = _decode(decoder, chosen, earlier, folder, console if live else None, as_json)
    seconds += folder.seconds if folder else 0.0
    from dllmkit.observe.metrics import Metrics

    metrics = Metrics.of([results[i] for i in sorted(results)], seconds)
    if folder:
        folder.close({"metrics": metrics.as_dict(), "recipe": decoder.recipe.resolved, "recipe_hash": decoder.recipe.hash})
    if not as_json:
        for index in sorted(results):
            _print_answer(console, decoder, chosen[index], results[index])
        console.print(metrics_table(metrics))


def _chat(decoder: Decoder) -> bool:
    return decoder.recipe.prompts.chat


def _open(out: str, decoder: Decoder, prompts: Sequence[Prompt]) -> RunFolder:
    from dllmkit.observe.metrics import environment

    recipe = decoder.recipe
    return RunFolder.open(Path(out), recipe.hash, recipe.to_yaml(), prompts, environment(decoder.model))


def _decode(
    decoder: Decoder,
    prompts: Sequence[Prompt],
    earlier: dict[int, Result],
    folder: RunFolder | None,
    view: Console | None,
    as_json: bool,
) -> tuple[dict[int, Result], float]:
    """Decode what is not finished yet; return all results by index, and the seconds that decoding took now."""
    from dllmkit.observe.trace import Trace

    results = dict(earlier)
    if as_json:
        for index in sorted(earlier):
            _print_json(decoder, earlier[index])
    observers: list[Observer] = [Trace(file=folder.trace, keep=False)] if folder else []
    before = folder.seconds if folder else 0.0
    start = time.perf_counter()
    try:
        with _Display(decoder, view, len(prompts), len(earlier)) as display:
            for result in decoder.finished(
                prompts, chat=_chat(decoder), observers=[*observers, *display.observers], skip=earlier.keys()
            ):
                results[result.index] = result
                if folder:
                    folder.add(result, before + time.perf_counter() - start)
                if as_json:
                    _print_json(decoder, result)
    except KeyboardInterrupt:
        if folder:
            folder.close()
            done = f"{len(results)} of {len(prompts)} prompts are finished"
            print(f"interrupted: {done}; the same command continues in {folder.path}", file=sys.stderr)
        raise
    except DllmkitError:
        if folder:
            folder.close()
        raise
    return results, time.perf_counter() - start


class _Display:
    """What a terminal shows while decoding: the canvas, and with several prompts a progress bar."""

    def __init__(self, decoder: Decoder, console: Console | None, total: int, done: int) -> None:
        self.observers: list[Observer] = []
        self._view: Any = None
        if console is not None:
            from dllmkit.observe.live import LiveView

            self._view = LiveView(lambda token: decoder.text([token], specials=True) or f"{token} ", console, total, done)
            self.observers = [self._view]

    def __enter__(self) -> _Display:
        if self._view is not None:
            self._view.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._view is not None:
            self._view.__exit__(*details)


def _print_json(decoder: Decoder, result: Result) -> None:
    record = {**asdict(result), "query_tokens": result.query_tokens, "attended": result.attended}
    print(json.dumps({**record, "recipe_hash": decoder.recipe.hash}), flush=True)


def _print_answer(console: Console, decoder: Decoder, prompt: Prompt, result: Result) -> None:
    asked = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    answer = result.text if result.text is not None else " ".join(map(str, result.generation[: result.answer_length]))
    console.print(f"[dim]{escape(asked)}[/dim]")
    console.print(escape(answer) + "\n", soft_wrap=True)


def metrics_table(metrics: Metrics) -> Table:
    """Lay the metrics out with the definition of each."""
    from dllmkit.observe.metrics import DEFINITIONS

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in metrics.as_dict().items():
        shown = "not measured" if value is None else f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        if name in DEFINITIONS:
            table.add_row(name, shown, f"[dim]{DEFINITIONS[name]}[/dim]")
        else:
            table.add_row(name, shown)
    return table
