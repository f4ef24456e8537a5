"""`dates`: count days on the calendar and write them as ISO dates.

Neighbouring digits depend on each other here (the last of February turns month and day together), which is what makes
parallel decoding of neighbours go wrong.
"""

from __future__ import annotations

import datetime
from random import Random

from ..vocabulary import MONTHS
from .problem import Problem


def make(rng: Random) -> Problem:
    """One calendar problem in 2020..2029, two to eight days; about a third of them cross the end of a month."""
    return _problem(rng, at_the_end=0.3)


def make_turn(rng: Random) -> Problem:
    """One that starts in the last days of a month, where the errors are; a kind for training alone."""
    return _problem(rng, at_the_end=1.0)


def _problem(rng: Random, at_the_end: float) -> Problem:
    day = datetime.date(2020, 1, 1) + datetime.timedelta(days=rng.randrange(3653))
    count = rng.choice((2, 2, 3, 3, 3, 4, 4, 5, 6, 8))
    if rng.random() < at_the_end:
        day = day.replace(day=28) + datetime.timedelta(days=rng.randint(-1, 3))
    month = MONTHS[day.month - 1]
    written = rng.choice((f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat()))
    ask = rng.choice(
        ("List the {} days after {}.", "Write the {} dates that follow {}.", "Which {} days come after {}?")
    )
    days = [(day + datetime.timedelta(days=i)).isoformat() for i in range(count + 1)]
    lines = [f"{day}, {count - i} more" for i, day in enumerate(days[1:], 1)]
    final = " ".join(lines)
    return Problem("dates", ask.format(count, written), "\n".join([f"From {days[0]}, {count} days:", *lines]), final)


def check(problem: Problem, text: str) -> bool:
    """True when the lines after the first are exactly the right dates."""
    return " ".join(text.split("\n")[1:]).rstrip() == problem.final
