"""The figures of one recipe over the problems of a comparison, and of all recipes beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dllmkit.compare.answer import Answer
from dllmkit.compare.aup import Operating, aup
from dllmkit.compare.front import front
from dllmkit.compare.pairs import paired
from dllmkit.evaluation.statistics import wilson
from dllmkit.observe.metrics import Metrics

RATIOS = ("nfe", "query_tokens", "attended", "seconds")

DEFINITIONS = {
    "interval": "Wilson score interval of the accuracy, 95 % (Wilson 1927)",
    "difference": "accuracy less that of the reference, which is the first recipe, on the same problems",
    "p": "exact two-sided McNemar test: how likely so uneven a split of the problems that only one of the two got right is "
    "by chance",
    "p_holm": "p adjusted for all comparisons with the reference (Holm 1979)",
    "ratio": "the reference's figure / this one's: 2 is half the forwards, half the work, twice as fast",
    "front": "no other recipe is as good in accuracy and in the ratio (or tpf), and better in one of them",
    "aup": "accuracy under parallelism (arXiv 2601.07568), alpha = 3, over tpf: area under the curve of accuracy in percent "
    "from the reference to this recipe, lower accuracies weighing less; a recipe more than 5 points below the reference "
    "adds nothing. Of a sweep: the same along all points of the grid",
    "aup_answer": "the same over tpf_answer",
}
"""What the figures mean that the sheet of metrics (dllmkit.observe.metrics) does not have."""


def figures(answers: Sequence[Answer], kinds: Sequence[str]) -> dict[str, Any]:
    """Sum up the answers of one recipe; `kinds` has the kind of each problem."""
    shares = {kind: score([a.right for a in answers if kinds[a.result.index] == kind]) for kind in dict.fromkeys(kinds)}
    verdicts = [answer.right for answer in answers]
    seconds = sum(answer.seconds for answer in answers)
    metrics = Metrics.of([answer.result for answer in answers], seconds, right=sum(verdicts))
    return {"accuracy": score(verdicts), "kinds": shares, "metrics": metrics.as_dict()}


def score(verdicts: Sequence[bool]) -> dict[str, Any]:
    """Right answers, problems, their ratio and its interval."""
    right, n = sum(verdicts), len(verdicts)
    return {"right": right, "problems": n, "accuracy": right / n if n else None, "interval": list(wilson(right, n))}


def beside(rows: Sequence[dict[str, Any]], verdicts: Sequence[Sequence[bool]], one_curve: bool) -> list[dict[str, Any]]:
    """Return what each row of `figures` has only among others: ratios to the first row, the fronts, tests, AUP.

    Where all rows are `one_curve`, none has an AUP of its own.
    """
    reference = rows[0]
    tests = paired(verdicts[0], verdicts[1:])
    ratios = [{key: _ratio(reference["metrics"][key], row["metrics"][key]) for key in RATIOS} for row in rows]
    fronts = _fronts(rows, ratios)
    return [
        {
            "ratios": ratios[i],
            "front": {key: on[i] for key, on in fronts.items()},
            "paired": asdict(tests[i - 1]) if i else None,
            "aup": None if one_curve else _aup(rows, i, "tpf"),
            "aup_answer": None if one_curve else _aup(rows, i, "tpf_answer"),
        }
        for i in range(len(rows))
    ]


def curve(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    """AUP of all rows as one curve: what a sweep of one method has."""
    points = [_operating(row, key) for row in rows]
    return None if any(p.parallelism <= 0 for p in points) else aup(points, max(p.accuracy for p in points))


def _fronts(rows: Sequence[dict[str, Any]], ratios: Sequence[dict[str, Any]]) -> dict[str, list[bool]]:
    accuracy = [row["accuracy"]["accuracy"] for row in rows]
    axes = {key: [ratio[key] for ratio in ratios] for key in RATIOS}
    axes |= {key: [row["metrics"][key] for row in rows] for key in ("tpf", "tpf_answer")}
    return {key: front(list(zip(values, accuracy, strict=True))) for key, values in axes.items()}


def _aup(rows: Sequence[dict[str, Any]], i: int, key: str) -> float | None:
    """AUP of the curve from the first row to row i, None where that is no curve: row i is not the more parallel one."""
    best = max(100 * row["accuracy"]["accuracy"] for row in rows)
    first, point = _operating(rows[0], key), _operating(rows[i], key)
    if first.parallelism <= 0 or (i and point.parallelism < first.parallelism):
        return None
    return aup([first, point] if i else [first], best)


def _operating(row: dict[str, Any], key: str) -> Operating:
    return Operating(row["metrics"][key] or 0.0, 100 * row["accuracy"]["accuracy"])


def _ratio(reference: float | None, value: float | None) -> float | None:
    return reference / value if reference is not None and value else None
