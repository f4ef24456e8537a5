"""`sort`: four to seven different numbers below 100, or four to six animals, in either direction."""

from __future__ import annotations

from random import Random

from ..vocabulary import SORT_WORDS
from .problem import Problem


def make(rng: Random) -> Problem:
    """One sorting problem; the answer repeats the items, then gives them sorted."""
    down = rng.random() < 0.4
    if rng.random() < 0.7:
        values = rng.sample(range(100), rng.randint(4, 7))
        items = [str(value) for value in values]
        ordered = [str(value) for value in sorted(values, reverse=down)]
        prompt = rng.choice(
            (
                f"Sort these numbers from {'largest to smallest' if down else 'smallest to largest'}: ",
                f"Put the numbers in {'descending' if down else 'ascending'} order: ",
                f"Sort {'down' if down else 'up'}: ",
            )
        )
    else:
        items = rng.sample(SORT_WORDS, rng.randint(4, 6))
        ordered = sorted(items, reverse=down)
        prompt = rng.choice(
            (
                f"Sort these words {'from z to a' if down else 'from a to z'}: ",
                f"Put the words in {'reverse alphabetical' if down else 'alphabetical'} order: ",
            )
        )
    final = ", ".join(ordered)
    return Problem("sort", f"{prompt}{', '.join(items)}.", f"Items: {', '.join(items)}.\nSorted: {final}.", final)


def check(problem: Problem, text: str) -> bool:
    """True when the line `Sorted:` lists exactly the right items in the right order."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("Sorted:")]
    return lines == [f"Sorted: {problem.final}."]
