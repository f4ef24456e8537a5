"""`quote`: plain words as a JSON list; it helps `json` along in training and is not part of the evaluation."""

from __future__ import annotations

import json
from random import Random

from ..vocabulary import CITIES, COLORS, JOBS
from .problem import Problem


def make(rng: Random) -> Problem:
    """Four to eight cities, jobs and colors to be quoted in the order given."""
    words = rng.sample(CITIES + COLORS + JOBS, rng.randint(4, 8))
    final = json.dumps(words)
    return Problem("quote", f"Write as JSON: {', '.join(words)}.", final, final)


def check(problem: Problem, text: str) -> bool:
    """True when the whole reply is exactly right."""
    return text.strip() == problem.final
