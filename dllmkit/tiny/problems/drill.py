"""`drill`: bare sums, differences, products and quotients; they help training along and are not part of the evaluation."""

from __future__ import annotations

from random import Random

from .problem import Problem


def make(rng: Random) -> Problem:
    """Three to six elementary facts of the ranges that `math` uses, written as its steps are."""
    facts = [_fact(rng) for _ in range(rng.randint(3, 6))]
    prompt = "Compute: " + ", ".join(left for left, _ in facts) + "."
    answer = "So " + ", ".join(f"{left} = {right}" for left, right in facts) + "."
    return Problem("drill", prompt, answer, answer)


def check(problem: Problem, text: str) -> bool:
    """True when the whole reply is exactly right."""
    return text.strip() == problem.final


def _fact(rng: Random) -> tuple[str, int]:
    sign = rng.choice("+++---*/")
    if sign in "*/":
        p, q = rng.randint(2, 9), rng.randint(2, 9)
        return (f"{p} * {q}", p * q) if sign == "*" else (f"{p * q} / {p}", q)
    if rng.random() < 0.85:
        large, small = rng.randint(1, 84), rng.randint(1, 12)
    else:
        large, small = rng.randint(1, 40), rng.randint(1, 40)
    if sign == "+":
        return f"{large} + {small}", large + small
    return f"{max(large, small)} - {min(large, small)}", abs(large - small)
