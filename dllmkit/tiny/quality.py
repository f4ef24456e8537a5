"""Recipes side by side on the same problems: `python -m dllmkit.tiny.quality RECIPE... --problems 200`.

The first recipe is the one that the others are compared with. Recipes take turns on slices of the problems, so that another
job on the machine disturbs all alike; every recipe decodes the bundled model as it says.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .evaluate import score
from .problems import KINDS, evaluation_set

if TYPE_CHECKING:
    from dllmkit.result import Result

SLICE = 20  # problems that a recipe decodes before the next one takes over


def compare(recipes: Sequence[str], overrides: Sequence[str], count: int, seed: int) -> list[dict[str, Any]]:
    """Decode `count` held-out problems with each recipe; accuracy per kind, counts, and seconds of decoding."""
    from dllmkit import Decoder, load_recipe

    problems = evaluation_set(count, seed, KINDS)
    first = Decoder.from_recipe(recipes[0], overrides)
    decoders = [first, *(Decoder.of(first.model, load_recipe(name, overrides)) for name in recipes[1:])]
    for decoder in decoders:
        if decoder.recipe.model != first.recipe.model:
            raise SystemExit(f"{decoder.recipe.source} names another model than {first.recipe.source}")
    results: list[list[Result]] = [[] for _ in decoders]
    seconds = [0.0] * len(decoders)
    for start in range(0, count, SLICE):
        prompts = [problem.prompt for problem in problems[start : start + SLICE]]
        for i, decoder in enumerate(decoders):
            started = time.perf_counter()
            results[i] += decoder.decode(prompts, chat=decoder.recipe.prompts.chat)
            seconds[i] += time.perf_counter() - started
    return [
        {
            "recipe": name,
            "recipe_hash": decoder.recipe.hash,
            "kinds": score(problems, [result.text or "" for result in mine]),
            "nfe": sum(result.nfe for result in mine),
            "query_tokens": sum(result.query_tokens for result in mine),
            "attended": sum(result.attended for result in mine),
            "tokens": sum(result.n_committed for result in mine),
            "seconds": taken,
        }
        for name, decoder, mine, taken in zip(recipes, decoders, results, seconds, strict=True)
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay the rows out as a Markdown table; work and time are ratios to the first row (first ÷ row: higher is less)."""
    base = rows[0]
    head = ["recipe", "all", *KINDS, "NFE", "TPF", "query tokens ÷", "attended ÷", "time ÷"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        accuracy = [f"{row['kinds'][kind]['accuracy']:.1%}" for kind in ("all", *KINDS)]
        ratios = [f"{base[key] / row[key]:.2f}" for key in ("query_tokens", "attended", "seconds")]
        cells = [row["recipe"], *accuracy, f"{row['nfe']:,}", f"{row['tokens'] / row['nfe']:.2f}", *ratios]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Command line of the comparison."""
    options = argparse.ArgumentParser(prog="python -m dllmkit.tiny.quality", description=__doc__)
    options.add_argument("recipes", nargs="+", help="recipes; the first is what the others are compared with")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override for all of them")
    options.add_argument("--problems", type=int, default=200)
    options.add_argument("--seed", type=int, default=11, help="every seed gives fresh problems")
    options.add_argument("--json", metavar="FILE", help="write all figures there")
    arguments = options.parse_args()
    rows = compare(arguments.recipes, arguments.set, arguments.problems, arguments.seed)
    print(table(rows))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
