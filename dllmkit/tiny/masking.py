"""Which canvas positions of a training row are masked, and how much each one counts in the loss.

Three ways, drawn per row. `uniform` is LLaDA's (arXiv 2502.09992): t ~ U(0, 1), every canvas position masked with
probability t. `window` shows what semi-autoregressive decoding sees: everything before a point is committed, 32
positions after it are partly masked, all the rest is masked. `cut` is `window` with the canvas ending at the window,
which is what methods that prune the suffix see.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

WINDOW = 32
"""Block length of the decoding that `window` and `cut` imitate."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """Loss weights of masked positions; every answer token counts 1 unless it lies right of the window."""

    first_eos: float = 0.5
    padding: float = 0.03
    suffix: float = 0.1


def mask_row(
    way: str, prompt: int, answer: int, length: int, rng: np.random.Generator, weights: Weights
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Mask and loss weights, each (length,), of a row with `prompt` prompt tokens and `answer` answer tokens.

    The rest of the row is EOS. Prompt positions are never masked; weights are 0 where the mask is False; at least one
    canvas position is masked. For `cut` the answer may be longer than the row, which then ends with the window.
    """
    position = np.arange(length) - prompt
    weight = np.ones(length, dtype=np.float32)
    weight[position == answer] = weights.first_eos
    weight[position > answer] = weights.padding
    if way == "uniform":
        masked = rng.random(length) < rng.random()
    else:
        if way == "cut":
            start = max(0, length - prompt - WINDOW)
        elif rng.random() < 0.6:
            start = WINDOW * int(rng.integers(0, answer // WINDOW + 1))
        else:
            start = int(rng.integers(0, answer + 1))
        inside = (position >= start) & (position < start + WINDOW)
        masked = inside & (rng.random(length) < rng.random())
        masked |= position >= start + WINDOW
        weight[position >= start + WINDOW] *= weights.suffix
        if not (masked & inside).any():
            masked[prompt + start + int(rng.integers(0, min(WINDOW, length - prompt - start)))] = True
    masked &= position >= 0
    if not masked.any():
        masked[prompt + int(rng.integers(0, length - prompt))] = True
    return masked, np.where(masked, weight, np.float32(0))
