"""From a selection to commits: forced progress, the one download of a step, and the check of the selector's contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dllmkit.errors import ModelError, PluginError
from dllmkit.plan import ForwardPlan
from dllmkit.proposal import Proposal, ranks
from dllmkit.slots import UnmaskSelector
from dllmkit.state import Positions


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """What one row commits in a step: tokens and confidences at absolute positions, all [n]."""

    positions: Positions
    tokens: np.ndarray
    confidence: np.ndarray


def download(plan: ForwardPlan, proposal: Proposal, chosen: torch.Tensor, selector: UnmaskSelector) -> list[Commit]:
    """Bring the step's commits to the host in one transfer, one Commit per lane of the plan.

    `chosen` [rows, width] is the selector's word. A row in which it chose nothing commits its most confident mask, unless
    its selector has patience left.
    """
    name = f"unmask_selector {type(selector).__module__}.{type(selector).__name__}"
    if chosen.shape != proposal.eligible.shape or chosen.dtype != torch.bool:
        shape = list(proposal.eligible.shape)
        raise PluginError(f"{name} returned {chosen.dtype} {list(chosen.shape)}, expected torch.bool {shape}")
    allowed = chosen & proposal.eligible
    stuck = plan.force & ~allowed.any(dim=1)  # [rows]
    best = (ranks(proposal.confidence) == 0) & proposal.eligible
    committed = allowed | (stuck[:, None] & best)
    wide = torch.float64 if proposal.confidence.dtype == torch.float64 else torch.float32  # both hold token ids exactly
    parts = (proposal.tokens, proposal.confidence, committed, chosen & ~proposal.eligible)
    tokens, confidence, commit, wrong = torch.stack([p.to(wide) for p in parts]).cpu().numpy()  # each [rows, width]
    commits = []
    for i, lane in enumerate(plan.lanes):
        eligible = lane.row.eligible
        who = f"row {lane.row.request.index}, step {lane.row.step}"
        if wrong[i].any():
            columns = np.flatnonzero(wrong[i]).tolist()
            raise PluginError(
                f"{name}, {who}: chose columns {columns}, but only {len(eligible)} positions are eligible"
            )
        if np.isnan(confidence[i, : len(eligible)]).any():
            bad = eligible[np.isnan(confidence[i, : len(eligible)])].tolist()
            raise ModelError(f"the model gave NaN at positions {bad} ({who})")
        columns = np.flatnonzero(commit[i])
        commits.append(
            Commit(eligible[columns], tokens[i, columns].astype(np.int64), confidence[i, columns].astype(np.float64))
        )
    return commits
