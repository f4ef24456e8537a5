"""Problems with exactly checkable answers, deterministic from (kind, seed), split so that training never meets a test.

`make_problem(kind, seed)` is a pure function. Two walls keep evaluation fresh: training draws seeds below `EVAL_SEEDS`
and evaluation draws them above it, and every prompt belongs to one side only, by a hash of its text (`held_out`): one
prompt in sixteen is kept from training, whatever seed it comes from, and evaluation asks no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from random import Random

from . import dates, drill, extraction, quoting, sorting, spelling, words
from .problem import Problem

__all__ = ["EVAL_SEEDS", "KINDS", "Problem", "check", "evaluation_set", "held_out", "make_problem", "training_stream"]

KINDS = ("math", "sort", "json", "spell", "dates")
"""Kinds that are evaluated; `drill`, `quote` and `turn` exist for training alone."""

EVAL_SEEDS = 1 << 48
"""First seed of the evaluation; training seeds are smaller."""

_MAKE: dict[str, Callable[[Random], Problem]] = {
    "math": words.make,
    "sort": sorting.make,
    "json": extraction.make,
    "spell": spelling.make,
    "dates": dates.make,
    "drill": drill.make,
    "quote": quoting.make,
    "turn": dates.make_turn,
}
_CHECK: dict[str, Callable[[Problem, str], bool]] = {
    "math": words.check,
    "sort": sorting.check,
    "json": extraction.check,
    "spell": spelling.check,
    "dates": dates.check,
    "drill": drill.check,
    "quote": quoting.check,
    "turn": dates.check,
}


def make_problem(kind: str, seed: int) -> Problem:
    """The problem of this kind and seed."""
    return _MAKE[kind](Random(f"{kind}/{seed}"))


def check(problem: Problem, text: str) -> bool:
    """True when the final answer in `text`, the decoded reply without special tokens, is exactly right."""
    return _CHECK[problem.kind](problem, text)


def held_out(prompt: str) -> bool:
    """True for the one prompt in sixteen that is kept for evaluation."""
    return hashlib.blake2b(prompt.encode(), digest_size=1).digest()[0] % 16 == 0


def training_stream(seed: int, weights: dict[str, float]) -> Iterator[Problem]:
    """Endless training problems, kinds drawn by weight; the same seed gives the same stream."""
    rng = Random(seed)
    kinds, shares = list(weights), list(weights.values())
    while True:
        problem = make_problem(rng.choices(kinds, shares)[0], rng.randrange(EVAL_SEEDS))
        if not held_out(problem.prompt):
            yield problem


def evaluation_set(count: int, seed: int, kinds: Sequence[str] = KINDS) -> list[Problem]:
    """`count` different held-out problems, the kinds in turn; every seed gives fresh ones."""
    rng = Random(f"evaluation/{seed}")
    problems: dict[str, Problem] = {}
    while len(problems) < count:
        problem = make_problem(kinds[len(problems) % len(kinds)], EVAL_SEEDS + rng.randrange(EVAL_SEEDS))
        if held_out(problem.prompt):
            problems.setdefault(problem.prompt, problem)
    return list(problems.values())
