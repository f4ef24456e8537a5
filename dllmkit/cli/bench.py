"""`dllmkit bench`: time recipes against each other, and beside the limit of the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dllmkit.cli.session import memory_errors
from dllmkit.errors import DllmkitError

if TYPE_CHECKING:
    from dllmkit.bench.setup import Setup

FLAT = (
    "random weights have flat confidences: selectors with a threshold commit one token at each forward; "
    "--commit-schedule RATE or FILE replays the parallelism of a real run"
)


@dataclass(frozen=True)
class BenchOptions:
    """The options of `dllmkit bench`; None where the recipe decides."""

    model: str | None = None
    shape: str | None = None
    gen_length: int | None = None
    batch: int | None = None
    prompts: str | None = None
    prompt_length: str | None = None
    repeats: int = 5
    warmup: int = 1
    threads: int | None = None
    commit_schedule: str | None = None

    def overrides(self, given: Sequence[str]) -> list[str]:
        """Put the options among the overrides that all recipes get; one thread unless something says otherwise."""
        named = {
            "model.path": self.model,
            "decode.gen_length": self.gen_length,
            "runtime.batch_size": self.batch,
            "runtime.threads": self.threads,
        }
        return ["runtime.threads=1", *given, *(f"{key}={value}" for key, value in named.items() if value is not None)]


def bench(
    arguments: Sequence[str], options: BenchOptions, as_json: bool = False, out: str | None = None,
    profile: str | None = None,
) -> None:  # fmt: skip
    """Run recipes in turn over the same prompts and print tables, or one JSON document; see `dllmkit bench --help`."""
    from dllmkit.bench.schedule import CommitSchedule
    from dllmkit.bench.setup import Setup, read_lengths
    from dllmkit.cli.prompts import read_file

    recipes, given = split(arguments)
    _check(options, out)
    schedule = None if options.commit_schedule is None else CommitSchedule.read(options.commit_schedule)
    setup = Setup(
        recipes,
        options.overrides(given),
        shape=options.shape,
        prompts=() if options.prompts is None else read_file(options.prompts),
        prompt_lengths=() if options.prompt_length is None else read_lengths(options.prompt_length),
        schedule=schedule,
    )
    console = Console(highlight=False)
    if options.shape is not None and schedule is None:
        print(f"note: {FLAT}", file=sys.stderr)
    with memory_errors(), _status(as_json) as say:
        document = _measure(setup, options, given, say, profile)
    text = json.dumps(document, indent=2)
    if out is not None:
        _write(Path(out), text)
    if as_json:
        print(text)
        return
    from dllmkit.bench.tables import disturbance, heading, tables

    console.print(heading(document), soft_wrap=True)
    for table in tables(document):
        console.print()
        console.print(table)
    if (note := disturbance(document)) is not None:
        print(f"note: {note}", file=sys.stderr)


def _measure(
    setup: Setup, options: BenchOptions, given: Sequence[str], say: Callable[[str], None], profile: str | None
) -> dict[str, Any]:
    say("loading")
    contenders = setup.contenders()  # torch is imported from here on
    from dllmkit.bench.report import report
    from dllmkit.bench.runner import measure
    from dllmkit.observe.metrics import environment

    measured = measure(contenders, options.repeats, options.warmup, say)
    if profile is not None:
        from dllmkit.cli.profile import silence
        from dllmkit.observe.profile import record

        silence()
        for contender in contenders:
            say(f"profile: {contender.name}")
            record(contender.decoder, contender.prompts, Path(profile) / contender.name.replace("/", "."))
    settings = {**asdict(options), "overrides": list(given)}
    return report(measured, settings, environment(contenders[0].decoder.model))


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part RECIPE from KEY=VALUE: whatever has a `=` and is no file is an override."""
    overrides = [word for word in arguments if "=" in word and not Path(word).is_file()]
    recipes = [word for word in arguments if word not in overrides]
    if not recipes:
        raise DllmkitError("no recipe: give at least one, such as baseline/tiny")
    return recipes, overrides


def _check(options: BenchOptions, out: str | None) -> None:
    for a, b in (("model", "shape"), ("prompts", "prompt_length")):
        if getattr(options, a) is not None and getattr(options, b) is not None:
            raise DllmkitError(f"--{a} and --{b.replace('_', '-')} exclude each other: give one")
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise DllmkitError(f"--out {out}: there is no folder {Path(out).parent}")  # said before minutes of measuring


def _write(path: Path, text: str) -> None:
    from dllmkit.journal import write_atomically

    try:
        write_atomically(path, text + "\n")
    except OSError as error:
        raise DllmkitError(f"--out {path} cannot be written: {error.strerror}") from None


@contextmanager
def _status(as_json: bool) -> Iterator[Callable[[str], None]]:
    """Say on standard error, where that is a terminal, what is going on."""
    errors = Console(stderr=True, highlight=False)
    if not errors.is_terminal:
        yield lambda line: None
        return
    with errors.status("") as status:
        yield status.update
