"""The page of published tables, from the `published` sections of the recipes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

RECIPES = Path(__file__).resolve().parents[1] / "recipes"

HEAD = """# Published tables

Made from the `published` sections of the recipes by `python docs/generate.py`; a test fails when it is out of date.
`tests/recipes` compares the parameters of each recipe with the published ones.

Each cell is **accuracy in % / tokens per second / speed-up**, as its authors published it; the speed-up is missing where the
table has none. Nothing on this page was measured here: see [protocol and drift](protocol.md) before you compare two
cells. A cell of model `M`, task `T` and length `G` is the recipe `FOLDER/M.T-G`: `dllmkit show FOLDER/M.T-G` prints
its parameters. A † marks recipes that run
with `as_released: false`, because no component expresses what was released; their header says how they differ."""

PAPERS = {"fast_dllm": "Fast-dLLM", "streaming": "Streaming-dLLM", "dsb": "DSB", "dawn": "DAWN"}
TASKS = ("gsm8k", "math", "humaneval", "mbpp", "bbh")
NAME = re.compile(r"(?P<model>[\w.-]+?)\.(?P<task>[a-z0-9]+)-(?P<length>\d+)")


@dataclass(frozen=True)
class Cell:
    """One published run: its recipe and what the paper says of it."""

    folder: str
    model: str
    task: str
    length: int
    figures: str
    device: str
    paper: str


def cells() -> Iterator[Cell]:
    """Read every recipe that carries published figures."""
    for path in sorted(RECIPES.rglob("*.yaml")):
        name, recipe = NAME.fullmatch(path.stem), OmegaConf.load(path)
        figures = recipe.get("published")
        if name is None or figures is None:
            continue
        times = f" / {figures.speedup}\N{MULTIPLICATION SIGN}" if "speedup" in figures else ""
        mark = " †" if "\n# Differs:" in path.read_text(encoding="utf-8") else ""
        yield Cell(
            path.parent.relative_to(RECIPES).as_posix(),
            name["model"],
            name["task"],
            int(name["length"]),
            f"{figures.accuracy} / {figures.tps}{times}{mark}",
            figures.device,
            figures.source,
        )


def tables_page() -> str:
    """One table for each folder of published recipes, as Markdown."""
    parts, everything = [HEAD], list(cells())
    for paper, title in PAPERS.items():
        mine = [cell for cell in everything if cell.folder.partition("/")[0] == paper]
        (device,) = {cell.device for cell in mine}
        (source,) = {re.search(r"arXiv \d+\.\d+", cell.paper)[0] for cell in mine}  # type: ignore[index]
        parts += [f"## {title}", f"{source}; {device}; {len(mine)} cells."]
        for folder in sorted({cell.folder for cell in mine}):
            parts += [f"### `{folder}`", _table([cell for cell in mine if cell.folder == folder])]
    return "\n\n".join(parts) + "\n"


def _table(mine: list[Cell]) -> str:
    models = sorted({cell.model for cell in mine}, key=lambda m: ("dream" in m, m))
    found = {(cell.task, cell.length, cell.model): cell.figures for cell in mine}
    rows = sorted({(TASKS.index(cell.task), cell.length) for cell in mine})
    lines = [f"| task, length | {' | '.join(f'`{m}`' for m in models)} |", "|---|" + "---|" * len(models)]
    for task, length in rows:
        figures = [found.get((TASKS[task], length, model), "") for model in models]
        lines.append(f"| {TASKS[task]}-{length} | {' | '.join(figures)} |")
    return "\n".join(lines)
