"""A task: the problems of an evaluation, and how their answers are judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dllmkit.errors import DllmkitError, nearest
from dllmkit.evaluation.matchers import Matcher, PerProblem, find_matcher
from dllmkit.evaluation.problem import Problem

__all__ = ["Matcher", "Problem", "Task", "load_task"]


@dataclass(frozen=True)
class Task:
    """A data set with its matcher; `digest`, a SHA-256 of both, is the identity that results carry."""

    name: str
    problems: tuple[Problem, ...]
    matcher: Matcher
    digest: str

    @classmethod
    def of(cls, name: str, problems: Sequence[Problem], matcher: Matcher) -> Task:
        """Put a task together; DllmkitError if it is empty or two problems have the same id."""
        if not problems:
            raise DllmkitError(f"task {name} has no problem")
        seen: set[str] = set()
        for problem in problems:
            if problem.id in seen:
                raise DllmkitError(f"task {name}: two problems have the id {problem.id!r}")
            seen.add(problem.id)
        content = {"problems": [asdict(problem) for problem in problems], "matcher": matcher.name}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return cls(name, tuple(problems), matcher, digest)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of problems, in the order in which they first come."""
        return tuple(dict.fromkeys(problem.kind for problem in self.problems))


def load_task(
    spec: str, *, limit: int | None = None, seed: int = 0, matcher: str | None = None, execute_code: bool = False
) -> Task:
    """Load the task that a command names; DllmkitError says what is wrong with it.

    `spec` is `tiny` or `tiny:KIND,...` (fresh problems of the bundled model for every seed, 100 unless `limit` says
    otherwise), `humaneval` (which needs `execute_code`), or a local .jsonl file. Of a task with a given set of problems,
    `limit` takes that many, drawn by `seed`, in their order. `matcher` replaces the one of the task.
    """
    if limit is not None and limit < 1:
        raise DllmkitError(f"limit = {limit}, expected at least 1")
    name, _, kinds = spec.partition(":")
    path = Path(spec)
    if name == "tiny" and not path.exists():
        from dllmkit.evaluation.builtin import tiny

        problems, judge = tiny(kinds, limit, seed)
    elif spec == "humaneval":
        from dllmkit.evaluation.humaneval import humaneval

        problems, judge = humaneval(execute_code, limit, seed)
    elif path.suffix.lower() == ".jsonl" or path.exists():
        from dllmkit.evaluation.jsonl import read_problems

        problems, judge = read_problems(path, limit, seed)
    else:
        raise DllmkitError(f"there is no task {spec!r}: {nearest(spec, ['tiny', 'humaneval', 'FILE.jsonl'])}")
    if matcher is not None:
        if isinstance(judge, PerProblem):
            raise DllmkitError(f"task {spec}: problems name their own matchers, and --matcher gives another")
        judge = find_matcher(matcher)
    return Task.of(spec, problems, judge)
