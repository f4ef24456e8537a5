"""`json`: facts about one to three people in plain sentences, wanted as JSON with the named keys."""

from __future__ import annotations

import json
from random import Random

from ..vocabulary import CITIES, COLORS, JOBS, NAMES
from .problem import Problem

_VALUES: dict[str, tuple[str, ...]] = {
    "city": ("lives in {}", "comes from {}"),
    "age": ("is {} years old",),
    "job": ("works as a {}", "is a {}"),
    "color": ("likes {}", "wears {}"),
}


def make(rng: Random) -> Problem:
    """One extraction problem with two to four keys per person; two or more people give a JSON list."""
    people = rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 3))
    keys = rng.sample(sorted(_VALUES), rng.randint(1, 3) if people > 2 else rng.randint(2, 4))
    records: list[dict[str, str | int]] = []
    sentences = []
    for name in rng.sample(NAMES, people):
        record: dict[str, str | int] = {
            "city": rng.choice(CITIES),
            "age": rng.randint(5, 95),
            "job": rng.choice(JOBS),
            "color": rng.choice(COLORS),
        }
        told = rng.sample(keys, len(keys))
        if people == 1 and len(keys) < 4 and rng.random() < 0.5:  # a fact that nobody asked for
            told.insert(rng.randrange(len(told) + 1), rng.choice(sorted(set(_VALUES) - set(keys))))
        facts = [rng.choice(_VALUES[key]).format(record[key]) for key in told]
        sentences.append(f"{name} {_joined(facts)}.")
        records.append({"name": name, **{key: record[key] for key in keys}})
    ask = rng.choice(("Extract {} as JSON: ", "Give {} as JSON: ", "Write JSON with {}: "))
    final = json.dumps(records[0] if people == 1 else records)
    return Problem("json", ask.format(_joined(["name", *keys])) + " ".join(sentences), final, final)


def check(problem: Problem, text: str) -> bool:
    """True when the whole text is one JSON value equal to the expected one."""
    try:
        return bool(json.loads(text) == json.loads(problem.final))
    except ValueError:
        return False


def _joined(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + " and " + parts[-1]
