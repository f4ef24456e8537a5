"""Muon for the hidden matrices, batched by shape for one thread.

Source: K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices by Newton-Schulz in bfloat16, singular values about 1; (n, rows, cols) to the same."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
    return x.mT if tall else x


class Muon:
    """Momentum, orthogonalised; all matrices of one shape go through Newton-Schulz together."""

    def __init__(self, parameters: Iterable[Tensor], momentum: float = 0.95, weight_decay: float = 0.1) -> None:
        self.groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            self.groups[parameter.shape].append(parameter)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.buffers = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update with learning rate `lr` (spectral norm of the step, up to the root of the aspect ratio)."""
        for shape, group in self.groups.items():
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            buffer = self.buffers[shape].lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp_(buffer, self.momentum)).float()
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(group, 1 - lr * self.weight_decay)
            torch._foreach_add_(group, list(update.unbind()), alpha=-lr * scale)
