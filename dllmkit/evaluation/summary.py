"""The summary of an evaluation: accuracy, metrics with their definitions, and everything needed to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dllmkit.evaluation.sample import Sample, Timing, decode_seconds
from dllmkit.evaluation.statistics import wilson
from dllmkit.evaluation.task import Task
from dllmkit.observe.metrics import DEFINITIONS, Metrics

if TYPE_CHECKING:
    from dllmkit.recipe import Recipe

VERSION = 1


def summarise(
    recipe: Recipe, task: Task, samples: Mapping[int, Sample], timings: Mapping[int, Timing], environment: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Sum up all samples of a task, by index; the result is plain data, as summary.json holds it.

    `accuracy` has an entry for all and one for each kind, with its 95 % Wilson interval. `published` holds the authors'
    figures with their accuracies as shares, like ours, or is None.
    """
    ordered = [samples[index] for index in sorted(samples)]
    seconds = decode_seconds(timings.values())
    right = sum(sample.correct for sample in ordered)
    return {
        "version": VERSION,
        "task": {
            "name": task.name,
            "digest": task.digest,
            "matcher": task.matcher.name,
            "problems": len(task.problems),
        },
        "recipe_source": recipe.source,
        "recipe_hash": recipe.hash,
        "recipe": recipe.resolved,
        "metrics": Metrics.of(ordered, seconds, right=right).as_dict(),
        "definitions": DEFINITIONS,
        "accuracy": {
            "all": score(ordered),
            **{kind: score([s for s in ordered if s.kind == kind]) for kind in task.kinds if len(task.kinds) > 1},
        },
        "published": published(recipe),
        "processes": 1 + max((timing.rank for timing in timings.values()), default=0),
        "sessions": len({timing.session for timing in timings.values()}),
        "environment": environment,
    }


def score(samples: Sequence[Sample]) -> dict[str, Any]:
    """Right answers, problems, accuracy, its 95 % interval, and the counts of some samples."""
    right = sum(sample.correct for sample in samples)
    metrics = Metrics.of(samples, None, right=right)
    return {
        "right": right,
        "problems": len(samples),
        "accuracy": metrics.accuracy,
        "interval": list(wilson(right, len(samples))) if samples else None,
        "nfe": metrics.nfe,
        "query_tokens": metrics.query_tokens,
        "tpf": metrics.tpf,
        "tpf_answer": metrics.tpf_answer,
    }


def published(recipe: Recipe) -> dict[str, Any] | None:
    """Return the authors' figures for a recipe, and which of its settings an override changed since."""
    if recipe.published is None:
        return None
    figures = asdict(recipe.published)
    for name in ("accuracy", "vanilla_accuracy"):
        if figures[name] is not None:
            figures[name] = round(figures[name] / 100, 8)
    changed = [
        key
        for key, origin in recipe.provenance.items()
        if origin.startswith("override") and key.partition(".")[0] in ("decode", "prompts")
    ]
    return {**figures, "changed": changed}
