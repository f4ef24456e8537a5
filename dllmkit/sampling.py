"""How a token is drawn from logits: Gumbel noise as in LLaDA, or filtered categorical sampling as in Dream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

LARGE = 1 << 14  # tokens of a vocabulary that is searched in parts
PARTS = (512, 256, 128, 64)  # sizes of a part, the first that divides the vocabulary


class Sampler(Protocol):
    """Draws tokens."""

    @property
    def plain(self) -> bool:
        """Whether `scores` returns the logits as they are, whatever their dtype."""
        ...

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

    @property
    def plain(self) -> bool:
        """At every temperature: confidences are those of the noise-free distribution."""
        return True

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
            return first_best(scores)
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

    @property
    def plain(self) -> bool:
        """Without a temperature and filters."""
        return self.temperature == 0 and self.top_k is None and (self.top_p is None or self.top_p == 1)

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
            return first_best(scores)
        return (scores.softmax(dim=-1) / noise).argmax(dim=-1)  # the least of exponential variables: torch.multinomial


def first_best(scores: torch.Tensor) -> torch.Tensor:
    """Return the column of the largest score in each row of [n, vocabulary], the first of equal ones: int64 [n].

    argmax is an order of magnitude slower than a maximum on a CPU, so in a large vocabulary it looks into one part alone.
    """
    n, vocabulary = scores.shape
    size = next((s for s in PARTS if vocabulary % s == 0), 0) if vocabulary >= LARGE else 0
    if not size:
        return scores.argmax(dim=-1)
    parts = scores.view(n, vocabulary // size, size)
    part = parts.amax(dim=-1).argmax(dim=-1)  # [n]
    within = parts.gather(1, part[:, None, None].expand(-1, 1, size)).squeeze(1)  # [n, size]
    return part * size + within.argmax(dim=-1)
