"""Figures of a row for papers and talks: which step committed what, how many tokens a step, how sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dllmkit.errors import DllmkitError
from dllmkit.step import StepRecord
from dllmkit.view.runs import ViewedRun

_COLOURS = ("#0072b2", "#d55e00")  # Okabe and Ito


def draw(runs: Sequence[ViewedRun], row: int | None, folder: Path) -> Iterator[Path]:
    """Write commit-order.png, tokens-per-step.png and confidence.png of one row (the first without `row`); yield the paths.

    Raises DllmkitError without matplotlib, or if a file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DllmkitError("--png needs matplotlib: pip install 'dllmkit[plot]'") from None
    number = runs[0].rows[0] if row is None else row
    named = [(run.name, next(run.traces([number])).of(number)) for run in runs]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in (("commit-order", commit_order), ("tokens-per-step", tokens), ("confidence", confidence)):
            figure: Any = Figure(figsize=(8, 3.4 * (len(runs) if make is commit_order else 1)), layout="constrained")
            make(figure, named)
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=150)
            yield path
    except OSError as error:
        raise DllmkitError(f"{folder} cannot be written: {error.strerror}") from error


def commit_order(figure: Any, runs: Sequence[tuple[str, Sequence[StepRecord]]]) -> None:
    """Step down, position across: grey what is visible, blue what is recomputed, coloured by confidence what is committed."""
    for axes, (name, steps) in zip(figure.subplots(len(runs), squeeze=False)[:, 0], runs, strict=True):
        axes.imshow(sets(steps), aspect="auto", interpolation="nearest")
        image = axes.imshow(
            confidences(steps), aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=1
        )  # fmt: skip
        axes.axvline(steps[0].prompt_length - 0.5, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=name, xlabel="position", ylabel="step")
        axes.yaxis.get_major_locator().set_params(integer=True)
        figure.colorbar(image, ax=axes, label="confidence of commits")


def tokens(figure: Any, runs: Sequence[tuple[str, Sequence[StepRecord]]]) -> None:
    """Tokens committed in each step."""
    axes = figure.subplots()
    for (name, steps), colour in zip(runs, _COLOURS, strict=False):
        counts = [len(step.chosen) for step in steps]
        label = f"{name}: {len(steps)} forwards, {sum(counts) / len(steps):.1f} tokens each"
        axes.step(range(len(steps)), counts, where="mid", marker="o", markersize=3, label=label, color=colour)
    axes.set(xlabel="step", ylabel="tokens committed", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)


def confidence(figure: Any, runs: Sequence[tuple[str, Sequence[StepRecord]]]) -> None:
    """How sure the model was of what it committed."""
    axes = figure.subplots()
    known = [np.concatenate([step.confidence for step in steps]) for _, steps in runs]
    axes.hist(
        known, bins=np.linspace(0, 1, 21), log=True, label=[name for name, _ in runs], color=_COLOURS[: len(runs)]
    )
    axes.set(xlabel="confidence at commit", ylabel="tokens", xlim=(0, 1))
    axes.legend(frameon=False)


def sets(steps: Sequence[StepRecord]) -> np.ndarray:
    """Colours [step, position, rgb] of visible and query; white is what was not seen."""
    image = np.ones((len(steps), len(steps[0].canvas), 3))
    for picture, step in zip(image, steps, strict=True):
        picture[step.visible] = (0.88, 0.89, 0.91)
        picture[step.query] = (0.70, 0.84, 0.93)
    return image


def confidences(steps: Sequence[StepRecord]) -> np.ndarray:
    """Confidence [step, position] of commits, masked elsewhere."""
    values = np.full((len(steps), len(steps[0].canvas)), np.nan)
    for line, step in zip(values, steps, strict=True):
        line[step.chosen] = step.confidence
    return np.ma.masked_invalid(values)
