"""The built-in task: problems of the bundled model, held out from its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dllmkit.errors import DllmkitError, nearest
from dllmkit.evaluation.matchers import Matcher
from dllmkit.evaluation.problem import Problem
from dllmkit.tiny import problems as generated

COUNT = 100


@dataclass(frozen=True)
class TinyMatcher:
    """The check of the problem's kind: the final value in the answer is exactly right."""

    name: ClassVar[str] = "tiny"

    def __call__(self, text: str, problem: Problem) -> bool:
        """Ask the generator's own check, which reads the final value alone."""
        return generated.check(generated.Problem(problem.kind, problem.prompt, problem.answer, problem.answer), text)


def tiny(kinds: str, limit: int | None, seed: int) -> tuple[list[Problem], Matcher]:
    """Make `limit` fresh problems (100 if None), the kinds in turn; `kinds` is a comma-separated list, all if empty."""
    chosen = [kind.strip() for kind in kinds.split(",")] if kinds else list(generated.KINDS)
    for kind in chosen:
        if kind not in generated.KINDS:
            raise DllmkitError(f"task tiny has no kind {kind!r}: {nearest(kind, generated.KINDS)}")
    made = generated.evaluation_set(limit or COUNT, seed, chosen)
    problems = [Problem(f"tiny/{seed}/{i}", p.prompt, p.final, p.kind) for i, p in enumerate(made)]
    return problems, TinyMatcher()
