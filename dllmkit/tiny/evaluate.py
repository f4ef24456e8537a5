"""Accuracy of a recipe on fresh problems: `python -m dllmkit.tiny.evaluate [RECIPE] --problems 500 --seed 7`.

The problems are held out from training (see `problems`); the decoding is the kit's own, so any recipe that runs the
bundled model can be judged with the same questions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.statistics import wilson

from .problems import KINDS, Problem, check, evaluation_set

RECIPE = "baseline/tiny"


def score(problems: Sequence[Problem], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Right answers, problems, accuracy and 95 % interval of each kind and of `all`."""
    verdicts = [(problem.kind, check(problem, text)) for problem, text in zip(problems, texts, strict=True)]
    kinds = sorted({kind for kind, _ in verdicts}, key=[*KINDS, "drill", "quote", "turn"].index)
    table = {}
    for name in (*kinds, "all"):
        mine = [right for kind, right in verdicts if name in (kind, "all")]
        table[name] = {
            "right": sum(mine),
            "problems": len(mine),
            "accuracy": sum(mine) / len(mine) if mine else None,
            "interval": wilson(sum(mine), len(mine)),
        }
    return table


def evaluate(
    recipe: str, overrides: Sequence[str], count: int, seed: int, kinds: Sequence[str] = KINDS
) -> dict[str, Any]:
    """Decode `count` held-out problems with the recipe; accuracy per kind, forwards per problem, seconds, wrong answers."""
    from dllmkit import Decoder

    problems = evaluation_set(count, seed, kinds)
    decoder = Decoder.from_recipe(recipe, list(overrides))
    started = time.perf_counter()
    results = decoder.decode([problem.prompt for problem in problems], chat=True)
    seconds = time.perf_counter() - started
    texts = [result.text or "" for result in results]
    return {
        "recipe": recipe,
        "overrides": list(overrides),
        "problems": count,
        "seed": seed,
        "seconds": seconds,
        "nfe_mean": sum(result.nfe for result in results) / max(1, count),
        "kinds": score(problems, texts),
        "wrong": [
            {"kind": problem.kind, "prompt": problem.prompt, "wanted": problem.answer, "got": text}
            for problem, text in zip(problems, texts, strict=True)
            if not check(problem, text)
        ],
    }


def _print(report: dict[str, Any]) -> None:
    print(f"{report['problems']} problems, seed {report['seed']}, {report['seconds']:.0f} s, {report['recipe']}")
    for kind, row in report["kinds"].items():
        low, high = row["interval"]
        print(
            f"{kind:6} {row['right']:4}/{row['problems']:<4} {row['accuracy']:7.1%}  95 % interval {low:.1%} .. {high:.1%}"
        )
    print(f"forwards per problem: {report['nfe_mean']:.1f}")


def main() -> None:
    """Command line of the evaluation."""
    options = argparse.ArgumentParser(prog="python -m dllmkit.tiny.evaluate", description=__doc__)
    options.add_argument("recipe", nargs="?", default=RECIPE, help="recipe file or name; default %(default)s")
    options.add_argument("overrides", nargs="*", help="overrides key=value for the recipe")
    options.add_argument("--problems", type=int, default=500)
    options.add_argument("--seed", type=int, default=7, help="every seed gives fresh problems")
    options.add_argument(
        "--kind", action="append", choices=[*KINDS, "drill", "quote", "turn"], help="only these kinds; may be repeated"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object, wrong answers included")
    arguments = options.parse_args()
    kinds = arguments.kind or KINDS
    try:
        report = evaluate(arguments.recipe, arguments.overrides, arguments.problems, arguments.seed, kinds)
    except DllmkitError as error:
        options.error(str(error))
    if arguments.json:
        print(json.dumps(report))
    else:
        _print(report)


if __name__ == "__main__":
    main()
