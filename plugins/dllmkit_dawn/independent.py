"""The independent set that a greedy search finds, without going through candidates one by one."""

from __future__ import annotations

import torch

from dllmkit.proposal import ranks, upper_bound


def independent_set(priority: torch.Tensor, candidates: torch.Tensor, conflicts: torch.Tensor) -> torch.Tensor:
    """Return the set that takes the best candidate, drops its neighbours, and goes on: bool [rows, width].

    `priority` [rows, width] (ties go to the lower column), `candidates` bool [rows, width], `conflicts` bool [rows, width,
    width], symmetric. Each round takes every candidate that is better than all its remaining neighbours; together these
    are what the one-by-one search would take. A round that leaves candidates has taken one and dropped one, so width / 2
    rounds are enough, and nothing depends on the data.
    """
    rank = ranks(priority)
    rival = conflicts & (rank[:, None, :] < rank[:, :, None])  # [rows, j, i]: is i a better neighbour of j?
    chosen, left = torch.zeros_like(candidates), candidates
    for _ in range(upper_bound(candidates.shape[1]) // 2):
        chosen, left = _round(conflicts, rival, chosen, left)
    return chosen


@torch.compiler.nested_compile_region  # compiled once: sixteen rounds fused into one kernel take minutes
def _round(
    conflicts: torch.Tensor, rival: torch.Tensor, chosen: torch.Tensor, left: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move those of `left` [rows, width] that no rival beats to `chosen`, and drop their neighbours."""
    best = left & ~(rival & left[:, None, :]).any(dim=2)
    return chosen | best, left & ~best & ~(conflicts & best[:, None, :]).any(dim=2)
