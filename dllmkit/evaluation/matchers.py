"""Matchers: whether the text of an answer is right.

`name` identifies a matcher in results and in the digest of a task, so it says everything that changes a verdict.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, Protocol

from dllmkit.errors import DllmkitError, nearest
from dllmkit.evaluation.problem import Problem

_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+")


class Matcher(Protocol):
    """Judges answers; a value without state."""

    @property
    def name(self) -> str:
        """How recipes of an evaluation spell it."""
        ...

    def __call__(self, text: str, problem: Problem) -> bool:
        """Say whether `text`, the answer without special tokens, is right."""
        ...


@dataclass(frozen=True)
class Exact:
    """The text is the answer, white space around either apart."""

    name: ClassVar[str] = "exact"

    def __call__(self, text: str, problem: Problem) -> bool:
        """Compare the texts; an answer that is not text is compared as JSON writes it."""
        wanted = problem.answer if isinstance(problem.answer, str) else json.dumps(problem.answer)
        return text.strip() == wanted.strip()


@dataclass(frozen=True)
class Number:
    """The last number of the text is that of the answer, as a value: 1,200.0 is 1200."""

    name: ClassVar[str] = "number"

    def __call__(self, text: str, problem: Problem) -> bool:
        """Compare the last numbers; an answer without a number is a mistake of the task."""
        wanted = last_number(str(problem.answer))
        if wanted is None:
            raise DllmkitError(f"problem {problem.id}: matcher number found no number in its answer {problem.answer!r}")
        return last_number(text) == wanted


@dataclass(frozen=True)
class Regex:
    """What the pattern finds is the answer: its first group, or all of the match; the last match counts.

    An answer of true asks only that the pattern is found.
    """

    pattern: str

    @property
    def name(self) -> str:
        """The pattern is part of the name."""
        return f"regex:{self.pattern}"

    def __call__(self, text: str, problem: Problem) -> bool:
        """Compare what is found with the answer, white space around either apart."""
        found = list(re.finditer(self.pattern, text, re.MULTILINE))
        if problem.answer is True or not found:
            return bool(found)
        last = found[-1]
        return (last.group(1 if last.re.groups else 0) or "").strip() == str(problem.answer).strip()


@dataclass(frozen=True)
class Json:
    """The whole text is one JSON value equal to the answer; keys in any order, true and 1 differ."""

    name: ClassVar[str] = "json"

    def __call__(self, text: str, problem: Problem) -> bool:
        """Compare the values."""
        try:
            return _canonical(json.loads(text)) == _canonical(problem.answer)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True)
class EntryPoint:
    """A function of the user, `package.module:function`, called with text and problem."""

    name: str

    @cached_property
    def function(self) -> Callable[[str, Problem], Any]:
        """Import the function; DllmkitError if that fails."""
        module, _, attribute = self.name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except Exception as error:  # a stranger's module may fail in any way
            reason = f"{type(error).__name__}: {error}"
            raise DllmkitError(f"matcher {self.name} cannot be imported: {reason}") from error
        if not callable(found):
            raise DllmkitError(
                f"matcher {self.name} is {type(found).__name__}, expected a function of text and problem"
            )
        function: Callable[[str, Problem], Any] = found
        return function

    def __call__(self, text: str, problem: Problem) -> bool:
        """Call it; anything but true or false is a mistake of the function."""
        try:
            verdict = self.function(text, problem)
        except DllmkitError:
            raise
        except Exception as error:
            raise DllmkitError(
                f"matcher {self.name} failed on problem {problem.id}: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(verdict, bool):
            raise DllmkitError(
                f"matcher {self.name} returned {verdict!r} on problem {problem.id}, expected true or false"
            )
        return verdict


@dataclass(frozen=True)
class PerProblem:
    """Problems that name their own matchers, and one for the others."""

    default: Matcher
    own: tuple[tuple[str, Matcher], ...]  # by problem id

    @property
    def name(self) -> str:
        """The default, how many problems have which other, and a hash of which have it."""
        others = Counter(matcher.name for _, matcher in self.own)
        which = hashlib.sha256(json.dumps([(id_, matcher.name) for id_, matcher in self.own]).encode()).hexdigest()[:12]
        return "; ".join([self.default.name, *(f"{name} for {n}" for name, n in sorted(others.items())), which])

    @cached_property
    def _by_id(self) -> dict[str, Matcher]:
        return dict(self.own)

    def __call__(self, text: str, problem: Problem) -> bool:
        """Ask the problem's matcher."""
        return self._by_id.get(problem.id, self.default)(text, problem)


def find_matcher(spec: str) -> Matcher:
    """Make a matcher from its spelling: exact, number, json, regex:PATTERN or package.module:function."""
    simple: dict[str, Callable[[], Matcher]] = {"exact": Exact, "number": Number, "json": Json}
    if spec in simple:
        return simple[spec]()
    kind, _, rest = spec.partition(":")
    if kind == "regex":
        try:
            re.compile(rest)
        except re.error as error:
            raise DllmkitError(f"matcher {spec!r}: not a regular expression: {error}") from None
        if not rest:
            raise DllmkitError("matcher 'regex:' has no pattern, expected regex:PATTERN")
        return Regex(rest)
    if is_entry_point(spec):
        matcher = EntryPoint(spec)
        _ = matcher.function  # fails now, not at the first answer
        return matcher
    hint = nearest(spec, [*simple, "regex:PATTERN", "package.module:function"])
    raise DllmkitError(f"there is no matcher {spec!r}: {hint}")


def is_entry_point(spec: str) -> bool:
    """Whether the spelling is one of a function, `package.module:function`."""
    module, colon, function = spec.partition(":")
    named = all(part.isidentifier() for part in [*module.split("."), function])
    return bool(colon) and named and module != "regex"


def last_number(text: str) -> Decimal | None:
    """The last number written in a text, as a value; None if there is none."""
    found = _NUMBER.findall(text)
    try:
        return Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def _canonical(value: Any) -> str:
    """Write a JSON value so that equal values give equal texts: 1.0 is 1, true is not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_canonical(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)
