"""The errors that dllmkit raises on purpose; each message names the thing, the value and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class DllmkitError(Exception):
    """Base of every error that dllmkit raises on purpose; the command line prints it as one line, without a traceback."""


class ParameterError(DllmkitError, ValueError):
    """A component was built with parameters out of range; `problems` lists all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class RecipeError(DllmkitError):
    """A recipe cannot be used; `problems` lists everything that is wrong with it, not only the first."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        head = f"{source}: {len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(
            "\n".join([head, *(f"  - {p}" for p in problems)]) if len(problems) != 1 else f"{source}: {problems[0]}"
        )


class PluginError(DllmkitError):
    """A plugin could not be loaded, or broke the contract of its hook point while decoding."""


class PluginWarning(UserWarning):
    """A plugin could not be used, in full or in part; everything else goes on without it."""


class ModelError(DllmkitError):
    """A checkpoint cannot be found, recognised or loaded, or a request does not fit the model."""


class RequestError(DllmkitError):
    """A prompt cannot be decoded as asked (empty, too long, not text for a model without a tokenizer)."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known spelling is nearest to `word`, as a clause to append to a message; list a few if none is near."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "none is known"
