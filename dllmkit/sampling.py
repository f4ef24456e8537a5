"""How a token is drawn from logits: Gumbel noise as in LLaDA, or filtered categorical sampling as in Dream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


class Sampler(Protocol):
    """Draws tokens."""

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits of the distribution whose probabilities are confidences, [n, vocabulary]."""
        ...

    def noise(self, n: int, vocabulary: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor | None:
        """Return the random numbers of one row's `n` draws, [n, vocabulary]; None if it draws without.

        `dtype` is that of the scores.
        """
        ...

    def draw(self, scores: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
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

    def noise(self, n: int, vocabulary: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor | None:
        """Return uniform numbers in float64, as in the released code."""
        if self.temperature == 0:
            return None
        return torch.rand(n, vocabulary, generator=generator, dtype=torch.float64, device=generator.device)

    def draw(self, scores: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Return argmax of the noised scores; the first of equal ones at temperature 0."""
        if noise is None:
            return scores.argmax(dim=-1)
        return (scores.double() - self.temperature * (-noise.log()).log()).argmax(dim=-1)


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

    def noise(self, n: int, vocabulary: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor | None:
        """Return exponential numbers, which torch's own multinomial draws too."""
        if self.temperature == 0:
            return None
        empty = torch.empty(n, vocabulary, dtype=dtype, device=generator.device)
        return empty.exponential_(1, generator=generator)

    def draw(self, scores: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Return a token drawn from softmax(scores), or the most probable one at temperature 0."""
        if noise is None:
            return scores.argmax(dim=-1)
        return (scores.softmax(dim=-1) / noise).argmax(dim=-1)  # the least of exponential variables: torch.multinomial
