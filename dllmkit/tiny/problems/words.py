"""`math`: word problems of two or three steps, with every step worked and a last line `#### n`.

All values stay in 0..99. Added and removed amounts are at most 12 (sums over two people aside) and factors at most 9,
so that a small model meets every elementary fact many times.
"""

from __future__ import annotations

import re
from random import Random

from ..vocabulary import CONTAINERS, NAMES, RARE_NAMES, RARE_SHE, RARE_THINGS, SHE, THINGS
from .problem import Problem

_GAIN = (
    "{he} finds {k} more {things}.",
    "{he} buys {k} more {things}.",
    "Then {he} gets {k} more.",
    "{friend} gives {him} {k} {things}.",
    "Then {friend} brings {him} {k} more.",
    "{he} picks {k} {things}.",
    "{he} wins {k} {things}.",
)
_LOSS = (
    "{he} gives {k} {things} to {friend}.",
    "{he} loses {k} of them.",
    "Then {he} sells {k} {things}.",
    "{friend} takes {k} of the {things}.",
    "Then {he} gives away {k}.",
    "{he} uses {k} {things}.",
    "Then {he} drops {k} of them.",
)
_GAIN_PART = ("buys {k} more", "finds {k} more", "gets {k} more", "wins {k}", "picks {k}")
_LOSS_PART = ("gives {k} to {friend}", "gives away {k}", "loses {k}", "sells {k}", "uses {k}")
_NOW = (
    "How many {things} does {who} have now?",
    "How many {things} does {who} have in the end?",
    "How many {things} are there now?",
    "How many {things} does {who} have left?",
)


def make(rng: Random) -> Problem:
    """One word problem; two thirds are chains of gains and losses, the rest prices, sharing and comparisons."""
    form = rng.choice((_chain, _chain, _chain, _chain, _packs, _packs, _asked_first, _price, _compare, _share))
    who, friend = rng.sample(NAMES if rng.random() < 0.75 else RARE_NAMES, 2)
    she = who in SHE or who in RARE_SHE
    slots = {
        "who": who,
        "friend": friend,
        "he": "she" if she else "he",
        "him": "her" if she else "him",
        "things": rng.choice(THINGS if rng.random() < 0.75 else RARE_THINGS),
        "containers": rng.choice(CONTAINERS),
    }
    sentences, steps, opening = form(rng, slots)
    prompt = re.sub(r"(?<=\. )[a-z]", lambda found: found[0].upper(), " ".join(sentences).format(**slots))
    final = steps[-1].rpartition(" ")[2]
    lines = [opening]
    lines += [f"{'First' if i == 0 else 'Then'} {step}." for i, step in enumerate(steps)]
    lines += [f"The answer is {final}.", f"#### {final}"]
    return Problem("math", prompt, "\n".join(lines), final)


def check(problem: Problem, text: str) -> bool:
    """True when the text holds exactly one line `#### n` and n is the final value."""
    found = re.findall(r"^#### ?(.*?)\s*$", text, flags=re.MULTILINE)
    return found == [problem.final]


_Form = tuple[list[str], list[str], str]


def _changes(rng: Random, value: int, count: int) -> tuple[list[str], list[str]]:
    """Sentences and steps of `count` gains and losses; sometimes the first two share a sentence."""
    joined = count > 1 and rng.random() < 0.35
    sentences, steps, parts = [], [], []
    for i in range(count):
        gain = rng.random() < 0.5 if 2 <= value <= 60 else value < 2
        k = rng.randint(1, 12 if gain else min(12, value))
        if joined and i < 2:
            parts.append(rng.choice(_GAIN_PART if gain else _LOSS_PART).replace("{k}", str(k)))
            if i == 1:
                sentences.append("{he} " + rng.choice((" and ", " and then ")).join(parts) + ".")
        else:
            sentences.append(rng.choice(_GAIN if gain else _LOSS).replace("{k}", str(k)))
        after = value + k if gain else value - k
        steps.append(f"{value} {'+' if gain else '-'} {k} = {after}")
        value = after
    return sentences, steps


def _chain(rng: Random, slots: dict[str, str]) -> _Form:
    start = rng.randint(2, 50)
    opening = rng.choice(
        ("{who} has %d {things}.", "{who} starts with %d {things}.", "There are %d {things} in the box of {who}.")
    )
    sentences, steps = _changes(rng, start, rng.choice((2, 2, 3)))
    return [opening % start, *sentences, rng.choice(_NOW)], steps, f"There are {start}."


def _packs(rng: Random, slots: dict[str, str]) -> _Form:
    p, q = rng.randint(2, 9), rng.randint(2, 9)
    opening = rng.choice(
        ("{who} has %d {containers} with %d {things} each.", "{who} buys %d {containers} of %d {things}.")
    )
    sentences, steps = _changes(rng, p * q, rng.choice((1, 1, 2)))
    steps = [f"{p} * {q} = {p * q}", *steps]
    return [opening % (p, q), *sentences, rng.choice(_NOW)], steps, f"There are {p} times {q}."


def _asked_first(rng: Random, slots: dict[str, str]) -> _Form:
    start, a = rng.randint(2, 50), rng.randint(1, 12)
    b = rng.randint(1, min(12, start + a))
    text = rng.choice(
        (
            "How many {things} does {who} have if {he} starts with %d, buys %d more and gives away %d?",
            "If {who} has %d {things}, finds %d more and loses %d, how many are left?",
        )
    )
    steps = [f"{start} + {a} = {start + a}", f"{start + a} - {b} = {start + a - b}"]
    return [text % (start, a, b)], steps, f"There are {start}."


def _price(rng: Random, slots: dict[str, str]) -> _Form:
    p, q = rng.randint(2, 9), rng.randint(2, 9)
    total = p * q
    k = rng.randint(1, 12)
    text = rng.choice(
        (
            "{who} buys %d {things} for %d dollars each and a book for %d dollars. How much does {he} pay?",
            "{who} pays %d times %d dollars for {things}, and then %d dollars for a book. How much does {he} pay?",
        )
    )
    steps = [f"{p} * {q} = {total}", f"{total} + {k} = {total + k}"]
    return [text % (p, q, k)], steps, f"There are {p} times {q}."


def _compare(rng: Random, slots: dict[str, str]) -> _Form:
    n, k = rng.randint(3, 20), rng.randint(1, 12)
    more = rng.random() < 0.5 or k > n
    other = n + k if more else n - k
    text = rng.choice(
        (
            "{who} has %d {things}. {friend} has %d %s {things} than {who}. How many do they have together?",
            "{who} has %d {things} and {friend} has %d %s than {who}. How many {things} do they have together?",
        )
    )
    steps = [f"{n} {'+' if more else '-'} {k} = {other}", f"{n} + {other} = {n + other}"]
    return [text % (n, k, "more" if more else "fewer")], steps, f"There are {n}."


def _share(rng: Random, slots: dict[str, str]) -> _Form:
    p, q = rng.randint(2, 9), rng.randint(2, 9)
    total = p * q
    a = rng.randint(1, min(12, total - 1))
    text = rng.choice(
        (
            "{who} has %d {things} and gets %d more. {he} shares them equally among %d friends.",
            "{who} has %d {things}. {friend} gives {him} %d more. {he} puts them equally into %d {containers}.",
        )
    )
    end = "How many {things} does each get?" if "friends" in text else "How many {things} are in each?"
    steps = [f"{total - a} + {a} = {total}", f"{total} / {p} = {q}"]
    return [text % (total - a, a, p), end], steps, f"There are {total - a}."
