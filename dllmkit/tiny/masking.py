"""Which canvas positions of a training row are masked, and how much each one counts in the loss.

Four ways, drawn per row. `uniform` is LLaDA's (arXiv 2502.09992): t ~ U(0, 1), every canvas position masked with
probability t. `window` shows what semi-autoregressive decoding sees: everything before a point is committed, 32
positions after it are partly masked, all the rest is masked. `ordered` is `window` with every fact (a number, a value)
after the point masked, because decoding by confidence fills in the easy words first. `cut` is `window` with the canvas
ending at the window, which is what methods that prune the suffix see.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

WINDOW = 32
"""Block length of the decoding that the three other ways imitate."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """Loss weights of masked positions, multiplied; a plain answer token counts 1."""

    fact: float = 2.0
    """Numbers and values, which take longest to learn, and the first EOS."""
    padding: float = 0.03
    """EOS after the first one."""
    suffix: float = 0.1
    """Right of the window."""
    near: int = 8
    """So many leftmost masks of a window, whose whole left context is there, count in full ..."""
    far: float = 0.4
    """... and the window's other masks this much."""


def mask_row(
    way: str,
    prompt: int,
    answer: int,
    facts: NDArray[np.bool_],
    rng: np.random.Generator,
    weights: Weights,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Mask and loss weights, each (length,), of a row with `prompt` prompt tokens and `answer` answer tokens.

    `facts` (length,) tells where numbers and values stand; after the answer the row is EOS. Prompt positions are never
    masked; weights are 0 where the mask is False; at least one canvas position is masked. For `cut` the answer may be
    longer than the row, which then ends with the window.
    """
    length = len(facts)
    position = np.arange(length) - prompt
    weight = np.where(position > answer, weights.padding, 1.0).astype(np.float32)
    weight[facts | (position == answer)] *= weights.fact
    if way == "uniform":
        ratio = rng.random()
        masked = (rng.random(length) < ratio) & (position >= 0)
        weight *= 0.6 / (ratio + 0.2)  # between LLaDA's 1/t and none
        inside = position >= 0
    else:
        if way == "cut":
            start = max(0, length - prompt - WINDOW)
        elif rng.random() < 0.4:
            start = WINDOW * int(rng.integers(0, answer // WINDOW + 1))
        else:
            start = int(rng.integers(0, answer + 1))
        inside = (position >= start) & (position < start + WINDOW)
        masked = inside & (rng.random(length) < rng.random())
        if way == "ordered":
            masked |= inside & facts
        weight[inside & (np.cumsum(masked) > weights.near)] *= weights.far
        weight[position >= start + WINDOW] *= weights.suffix
        masked |= position >= start + WINDOW
    if not (masked & inside).any():
        masked[rng.choice(np.flatnonzero(inside))] = True
    return masked, np.where(masked, weight, np.float32(0))
