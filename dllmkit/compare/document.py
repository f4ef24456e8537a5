"""results.json: everything that a comparison or a sweep found out, as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dllmkit.compare.answer import Answer
from dllmkit.compare.divergence import Place, diverge
from dllmkit.compare.figures import beside, curve, figures
from dllmkit.compare.folder import SCHEMA
from dllmkit.compare.keys import differing_keys
from dllmkit.evaluation.task import Task

if TYPE_CHECKING:
    from dllmkit.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Contender:
    """A recipe that takes part: how it is called, the overrides it was read with, and, in a sweep, its place in the grid."""

    label: str
    recipe: Recipe
    overrides: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the answers came about; `environments` describes machine and software, one entry for each that was used."""

    environments: Sequence[dict[str, Any]]
    workers: int = 1
    interleaved: bool = True


def document(
    kind: str, task: Task, contenders: Sequence[Contender], answers: Sequence[Sequence[Answer]], tokenizer: Any,
    conditions: Conditions,
) -> dict[str, Any]:  # fmt: skip
    """Put the results together; `answers` has the answers of each contender in the order of the problems.

    Divergences from the first contender are told where the recipes name the same checkpoint; `tokenizer` spells their tokens.
    """
    kinds = [problem.kind for problem in task.problems]
    rows = [figures(mine, kinds) for mine in answers]
    verdicts = [[answer.right for answer in mine] for mine in answers]
    swept = kind == "sweep"
    others = beside(rows, verdicts, one_curve=swept)
    return {
        "schema": SCHEMA,
        "kind": kind,
        "task": {"name": task.name, "digest": task.digest, "problems": len(kinds), "matcher": task.matcher.name},
        "contenders": [
            {**_described(one), **row, **other} for one, row, other in zip(contenders, rows, others, strict=True)
        ],
        "curve": {"aup": curve(rows, "tpf"), "aup_answer": curve(rows, "tpf_answer")} if swept else None,
        "differing_keys": _differing([one.recipe for one in contenders]),
        "problems": [
            _problem(task, index, contenders, [mine[index] for mine in answers], tokenizer)
            for index in range(len(kinds))
        ],
        "environments": list(conditions.environments),
        "workers": conditions.workers,
        "interleaved": conditions.interleaved,
    }


def _described(one: Contender) -> dict[str, Any]:
    return {
        "label": one.label, "overrides": list(one.overrides), "settings": dict(one.settings),
        "recipe": one.recipe.source, "hash": one.recipe.hash, "resolved": one.recipe.resolved,
    }  # fmt: skip


def _differing(recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """Keys that differ, without the sample prompts of recipes, which no task decodes."""
    return {
        key: held for key, held in differing_keys([r.resolved for r in recipes]).items() if key != "prompts.samples"
    }


def _problem(
    task: Task, index: int, contenders: Sequence[Contender], answers: Sequence[Answer], tokenizer: Any
) -> dict[str, Any]:
    problem, reference = task.problems[index], contenders[0].recipe.model
    shown = []
    for one, answer in zip(contenders, answers, strict=True):
        told = answer is not answers[0] and one.recipe.model == reference
        shown.append(
            {
                "text": answer.result.text, "right": answer.right, "nfe": answer.result.nfe,
                "answer_length": answer.result.answer_length, "stop_reason": answer.result.stop_reason,
                "divergence": _divergence(answers[0], answer, tokenizer) if told else None,
            }
        )  # fmt: skip
    return {
        "id": problem.id, "kind": problem.kind, "prompt": problem.prompt, "answer": problem.answer, "answers": shown,
    }  # fmt: skip


def _divergence(reference: Answer, other: Answer, tokenizer: Any) -> dict[str, Any]:
    found = diverge(reference.result, other.result)
    return {
        "step": found.step,
        "in_text": _spelled(found.in_text, tokenizer),
        "in_time": _spelled(found.in_time, tokenizer),
    }


def _spelled(place: Place | None, tokenizer: Any) -> dict[str, Any] | None:
    if place is None:
        return None
    texts = [tokenizer.decode([token]) for token in place.tokens]
    return {
        "position": place.position, "tokens": list(place.tokens), "texts": texts, "steps": list(place.steps),
        "confidence": list(place.confidence),
    }  # fmt: skip
