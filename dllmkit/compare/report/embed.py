"""What the report's explorer shows: prompts and answers, as many as one file can well hold."""

from __future__ import annotations

import json
from typing import Any

BUDGET = 2_000_000  # characters of JSON


def explorer_data(results: dict[str, Any], budget: int = BUDGET) -> dict[str, Any]:
    """Return labels and problems for the explorer, in the order of the task.

    Where not all fit, problems with different verdicts come first, then those with different answers.
    """
    kept, size = [], 0
    problems = [_problem(problem) for problem in results["problems"]]
    for index in sorted(range(len(problems)), key=lambda i: (_rank(problems[i]), i)):
        size += len(json.dumps(problems[index]))
        if size > budget:
            break
        kept.append(index)
    labels = [row["label"] for row in results["contenders"]]
    return {"labels": labels, "problems": [problems[i] for i in sorted(kept)]}


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem with each different text once: `text` of an answer is its place in `texts`."""
    answer = problem["answer"]
    texts = {text: place for place, text in enumerate(dict.fromkeys(one["text"] or "" for one in problem["answers"]))}
    return {
        "id": problem["id"], "kind": problem["kind"], "prompt": problem["prompt"],
        "answer": answer if isinstance(answer, str) else json.dumps(answer), "texts": list(texts),
        "answers": [
            {
                "text": texts[one["text"] or ""], "right": one["right"], "nfe": one["nfe"],
                "length": one["answer_length"], "divergence": one["divergence"],
            }
            for one in problem["answers"]
        ],
    }  # fmt: skip


def _rank(problem: dict[str, Any]) -> int:
    if len({one["right"] for one in problem["answers"]}) > 1:
        return 0
    return 1 if len(problem["texts"]) > 1 else 2
