"""How a token is drawn from logits: Gumbel noise as in LLaDA, or filtered categorical sampling as in Dream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Draws = Sequence[tuple[torch.Generator, int]]
"""For each row of the batch, in order: its generator, and how many of the logits' rows are its own."""


class Sampler(Protocol):
    """Draws tokens."""

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits of the distribution whose probabilities are confidences, [n, vocabulary]."""
        ...

    def draw(self, scores: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return one token per row of `scores` [n, vocabulary] in which the mask token is -inf: int64 [n]."""
        ...


@dataclass(frozen=True)
class Gumbel:
    """The most probable token after Gumbel noise scaled by the temperature (LLaDA, generate.py `add_gumbel_noise`).

    The released code takes argmax of exp(logit) / (-log u)^T in float64; the same order is that of logit - T log(-log u).
    Confidences stay those of the noise-free distribution.
    """

    temperature: float = 0.0

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits as they are."""
        return logits

    def draw(self, scores: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return argmax of the noised scores; the first of equal ones at temperature 0."""
        if self.temperature == 0:
            return scores.argmax(dim=-1)
        noise = [
            torch.rand(n, scores.shape[1], generator=g, dtype=torch.float64, device=scores.device) for g, n in draws
        ]
        return (scores.double() - self.temperature * (-torch.cat(noise).log()).log()).argmax(dim=-1)


@dataclass(frozen=True)
class Categorical:
    """A draw from softmax(logits / T) after top-p, then top-k filtering (Dream, generation_utils.py `sample_tokens`).

    At temperature 0 it is the most probable token, of the filtered distribution. Confidences are those of the filtered
    distribution at this temperature.
    """

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    mask_id: int | None = None

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits / T with everything outside the filters at the dtype's lowest value."""
        if self.temperature > 0:
            logits = logits / self.temperature
        filters = (self.top_p is not None and self.top_p < 1) or self.top_k is not None
        lowest = torch.finfo(logits.dtype).min  # finite: 0 * lowest stays 0 in an entropy
        if filters and self.mask_id is not None:
            logits = logits.clone()
            logits[:, self.mask_id] = lowest  # a filter that kept nothing but the mask token would leave no proposal
        if self.top_p is not None and self.top_p < 1:
            ordered, index = logits.sort(dim=-1, descending=True, stable=True)
            beyond = (ordered.softmax(dim=-1).cumsum(dim=-1) > self.top_p).roll(1, dims=-1)  # mass ahead of each token
            beyond[:, 0] = False
            logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, index, beyond), lowest)
        if self.top_k is not None:
            kth = logits.topk(min(self.top_k, logits.shape[-1]), dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < kth, lowest)
        return logits

    def draw(self, scores: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Return a token drawn from softmax(scores), or the most probable one at temperature 0."""
        if self.temperature == 0:
            return scores.argmax(dim=-1)
        probabilities = scores.softmax(dim=-1)
        parts = torch.split(probabilities, [n for _, n in draws])
        drawn = [p.multinomial(1, generator=g) for p, (g, _) in zip(parts, draws, strict=True)]
        return torch.cat(drawn).squeeze(1)
