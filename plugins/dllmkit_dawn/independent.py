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
    from dllmkit.proposal import ranks, upper_bound

    rank = ranks(priority)
    better = rank[:, None, :] < rank[:, :, None]  # [rows, j, i]: is i better than j?
    chosen, left = candidates & False, candidates
    for _ in range(upper_bound(candidates.shape[1]) // 2):
        beaten = (conflicts & better & left[:, None, :]).any(dim=2)
        best = left & ~beaten
        chosen = chosen | best
        left = left & ~best & ~(conflicts & best[:, None, :]).any(dim=2)
    return chosen
