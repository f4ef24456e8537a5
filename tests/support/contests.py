"""Results of comparisons for tests of what is made of them, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dllmkit.compare.answer import Answer
from dllmkit.compare.document import Conditions, Contender, document
from dllmkit.evaluation.matchers import Exact
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.task import Task
from dllmkit.recipe import load_recipe
from dllmkit.result import Result

EOS = 1


class Letters:
    """A tokenizer whose ids are code points."""

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))


def result(
    text: str, steps: Sequence[int] | None = None, index: int = 0, length: int | None = None, nfe: int | None = None
) -> Result:
    """A decode that wrote `text`, an end and padding, the positions in the order of `steps` (default: left to right)."""
    length = length or len(text) + 2
    generation = [*map(ord, text), *[EOS] * (length - len(text))][:length]
    order = [*(steps if steps is not None else range(len(text) + 1))]
    order += [-1] * (length - len(order))
    nfe = nfe or max(order) + 1
    return Result(
        index=index, text=text, tokens=[9, 9, *generation], prompt_length=2, nfe=nfe, n_committed=len(text) + 1,
        query_lengths=[10] * nfe, visible_lengths=[20] * nfe, commit_step=order[:length],
        confidence=[None if step < 0 else 0.5 for step in order[:length]], stop_reason="eos", seconds=0.5,
        answer_length=len(text),
    )  # fmt: skip


def comparison(
    answers: dict[str, list[str]], problems: Sequence[Problem], kind: str = "compare", nfe: Sequence[int] = ()
) -> dict[str, Any]:
    """The document of a comparison: of each label its answers, the i-th label's with `nfe[i]` forwards."""
    task = Task.of("letters", problems, Exact())
    recipes = [load_recipe("baseline/tiny", [f"decode.seed={i}"]) for i in range(len(answers))]
    contenders = [Contender(label, recipe) for label, recipe in zip(answers, recipes, strict=True)]
    rows = [
        [
            Answer(i, text == problem.answer, 1.0 / (i + 1), result(text, index=j, nfe=nfe[i] if nfe else None))
            for j, (text, problem) in enumerate(zip(texts, problems, strict=True))
        ]
        for i, texts in enumerate(answers.values())
    ]
    environment = {
        "python": "3", "platform": "a machine", "cpu_count": 1, "threads": 1, "gpu": None, "device": "cpu",
        "dtype": "float32", "weights": "0123", "git_commit": None, "versions": {"dllmkit": None, "torch": "2"},
    }  # fmt: skip
    return document(kind, task, contenders, rows, Letters(), Conditions([environment]))
