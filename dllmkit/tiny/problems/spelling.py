"""`spell`: spell a word letter by letter, and write it backwards; real words, and in training invented ones too."""

from __future__ import annotations

from random import Random

from ..vocabulary import SPELL_WORDS
from .problem import Problem

_VOWELS = "aeiou"
_CONSONANTS = "bcdfghjklmnprstvwxz"


def make(rng: Random) -> Problem:
    """One spelling problem; a third of the words are invented, so that letters rather than words are learned."""
    word = rng.choice(SPELL_WORDS) if rng.random() < 0.5 else _invented(rng)
    letters, mirrored = "-".join(word), "-".join(reversed(word))
    if rng.random() < 0.75:
        ask = rng.choice(('Spell "{}" and write it backwards.', 'Reverse the word "{}".', 'Write "{}" backwards.'))
        final = word[::-1]
        answer = f"Letters: {letters}.\nReversed: {mirrored}.\nBackwards: {final}"
    else:
        ask = rng.choice(('Spell the word "{}".', 'Spell "{}" and count the letters.'))
        final = str(len(word))
        answer = f"Letters: {letters}.\nThe word {word} has {final} letters.\nCount: {final}"
    return Problem("spell", ask.format(word), answer, f"{letters} {final}")


def check(problem: Problem, text: str) -> bool:
    """True when both the letters and the last line (`Backwards:` or `Count:`) are exactly right."""
    letters, _, final = problem.final.partition(" ")
    lines = text.splitlines()
    label = "Count" if final.isdigit() else "Backwards"
    return bool(lines) and lines[0] == f"Letters: {letters}." and lines[-1].strip() == f"{label}: {final}"


def _invented(rng: Random) -> str:
    start = rng.randrange(2)
    return "".join(rng.choice(_VOWELS if (i + start) % 2 else _CONSONANTS) for i in range(rng.randint(4, 9)))
