"""The independent set that a greedy search finds, without going through candidates one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def independent_set(priority: torch.Tensor, candidates: torch.Tensor, conflicts: torch.Tensor) -> torch.Tensor:
    """Return the set that takes the best candidate, drops its neighbours, and goes on: bool [rows, width].

    `priority` [rows, width] (ties go to the lower column), `candidates` bool [rows, width], `conflicts` bool [rows, width,
    width], symmetric. Each round takes every candidate that is better than all its remaining neighbours; together these
    are what the one-by-one search would take. A round that leaves candidates has taken one and dropped one, so width / 2
    rounds are enough, and nothing depends on the data.
    """
    import torch

    from dllmkit.proposal import ranks, upper_bound

    rank = ranks(priority)
    better = rank[:, None, :] < rank[:, :, None]  # [rows, j, i]: is i better than j?
    # counted by matrix products: sixteen rounds of reductions, fused into one kernel, take minutes to compile
    neighbour, rival = conflicts.float(), (conflicts & better).float()  # [rows, j, i]
    chosen, left = torch.zeros_like(candidates), candidates
    for _ in range(upper_bound(candidates.shape[1]) // 2):
        best = left & ~_meets(rival, left)
        chosen = chosen | best
        left = left & ~best & ~_meets(neighbour, best)
    return chosen


def _meets(graph: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Say for each j whether it has an edge of `graph` [rows, j, i] to one of `members` [rows, i]: bool [rows, j]."""
    return (graph @ members.float()[:, :, None]).squeeze(2) > 0
