"""`dllmkit profile`: a trace of the first steps of a decode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dllmkit.cli.prompts import collect
from dllmkit.cli.session import memory_errors


def profile(
    recipe: str, overrides: Sequence[str], out: str, prompt: Sequence[str] = (), prompts: str | None = None,
    steps: int = 0,
) -> None:  # fmt: skip
    """Decode prompts under torch.profiler, write the trace and say how to look at it; see `dllmkit profile --help`."""
    from dllmkit.plugins import load_plugins
    from dllmkit.recipe import load_recipe

    plugins = load_plugins()
    plugins.warn()
    read = load_recipe(recipe, overrides, plugins)
    chosen = collect(prompt, prompts, read.prompts.samples)
    silence()

    from transformers.utils import logging

    from dllmkit.decoder import Decoder, make_sampler  # torch is imported from here on
    from dllmkit.models.loading import load_model
    from dllmkit.observe.profile import record

    logging.set_verbosity_error()
    model = load_model(read, plugins.registry, check=lambda found: make_sampler(read, found))
    with memory_errors():
        done = record(Decoder.of(model, read), chosen, Path(out), chat=read.prompts.chat, steps=steps)
    table = Table(box=None, pad_edge=False)
    for name in ("part of a step", "times", "ms each", "share, %"):
        table.add_column(name, justify="left" if name.startswith("part") else "right")
    whole = sum(part.seconds for part in done.ranges)
    for part in done.ranges:
        each, share = part.seconds / part.count * 1e3, 100 * part.seconds / whole
        table.add_row(part.name, f"{part.count:,}", f"{each:,.3f}", f"{share:.1f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\n{done.steps} steps in {done.file}", soft_wrap=True)
    console.print(
        f"TensorBoard: pip install 'dllmkit[profile]' && tensorboard --logdir {out}", soft_wrap=True, markup=False
    )
    console.print("Perfetto:    open https://ui.perfetto.dev and drop the file there", soft_wrap=True)


def silence() -> None:
    """Keep the profiler from telling on standard error that it starts and stops; ask for more with KINETO_LOG_LEVEL."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
