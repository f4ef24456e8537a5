"""Tasks from a local file: one JSON object a line with `prompt` and `answer`, and maybe `id`, `kind` and `matcher`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dllmkit.errors import DllmkitError, nearest
from dllmkit.evaluation.choice import draw
from dllmkit.evaluation.matchers import Exact, Matcher, PerProblem, find_matcher, is_entry_point
from dllmkit.evaluation.problem import Problem

_KEYS = ("prompt", "answer", "id", "kind", "matcher")


def read_problems(path: Path, limit: int | None, seed: int) -> tuple[list[Problem], Matcher]:
    """Read the problems of a file, and their matcher: exact, where a line names no other.

    A line without `id` is named by its number. Raises DllmkitError with the line that is wrong. A file can name no function
    as a matcher: data run no code.
    """
    lines = _lines(path)
    read = [_problem(line, number, f"{path}, line {number}") for number, line in lines]
    if not read:
        raise DllmkitError(f"{path} holds no problem")
    chosen = draw(read, limit, seed)
    named = {matcher for _, matcher in chosen}
    matchers = {spec: find_matcher(spec) for spec in sorted(named - {None}, key=str) if spec is not None}
    problems = [problem for problem, _ in chosen]
    if not matchers:
        return problems, Exact()
    if len(named) == 1:
        return problems, next(iter(matchers.values()))
    own = tuple((problem.id, matchers[spec]) for problem, spec in chosen if spec is not None)
    return problems, PerProblem(Exact(), own)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DllmkitError(f"there is no task file {path}") from None
    except OSError as error:
        raise DllmkitError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DllmkitError(f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} in line {line}") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _problem(line: str, number: int, where: str) -> tuple[Problem, str | None]:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DllmkitError(f"{where} is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise DllmkitError(f"{where} is {type(record).__name__}, expected an object with prompt and answer")
    for key in ("prompt", "answer"):
        if key not in record:
            raise DllmkitError(f"{where} has no key '{key}'; its keys: {', '.join(map(repr, record)) or 'none'}")
    for key in record:
        if key not in _KEYS:
            raise DllmkitError(f"{where} has an unknown key {key!r}: {nearest(key, _KEYS)}")
    prompt, matcher = record["prompt"], record.get("matcher")
    if not isinstance(prompt, str) or not prompt.strip():
        raise DllmkitError(f"{where}: prompt = {prompt!r}, expected text that is not empty")
    identity, kind = record.get("id", f"line {number}"), record.get("kind", "all")
    if not isinstance(identity, (str, int)) or isinstance(identity, bool):
        raise DllmkitError(f"{where}: id = {identity!r}, expected text or a whole number")
    if not isinstance(kind, str) or not kind:
        raise DllmkitError(f"{where}: kind = {kind!r}, expected text")
    if matcher is not None:
        if not isinstance(matcher, str):
            raise DllmkitError(f"{where}: matcher = {matcher!r}, expected text")
        if is_entry_point(matcher):
            raise DllmkitError(f"{where}: matcher {matcher!r} is a function, which only --matcher can name")
        try:
            find_matcher(matcher)
        except DllmkitError as error:
            raise DllmkitError(f"{where}: {error}") from None
    return Problem(str(identity), prompt, record["answer"], kind), matcher
