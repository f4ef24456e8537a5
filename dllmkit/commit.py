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
    """What one row commits in a step: tokens and confidences at absolute positions, all [n].

    `overwritten` are committed positions that a released fault writes over, with `overwriting` tokens; normally none. `forced`
    says that the selector chose nothing.
    """

    positions: Positions
    tokens: np.ndarray
    confidence: np.ndarray
    overwritten: Positions
    overwriting: np.ndarray
    forced: bool


def decide(proposal: Proposal, chosen: torch.Tensor, force: torch.Tensor, selector: UnmaskSelector) -> torch.Tensor:
    """Return what the step commits, still on the device: tokens, confidences and choice, [3, rows, width].

    `chosen` [rows, width] is the selector's word. A row in which it chose nothing commits its most confident mask, unless
    its selector has patience left (`force` [rows] is False). Of the choice 1 is the selector's, 2 the forced one.
    """
    if chosen.shape != proposal.eligible.shape or chosen.dtype != torch.bool:
        shape = list(proposal.eligible.shape)
        raise PluginError(
            f"{_name(selector)} returned {chosen.dtype} {list(chosen.shape)}, expected torch.bool {shape}"
        )
    stuck = force & ~(chosen & proposal.eligible).any(dim=1)  # [rows]
    best = ranks(proposal.confidence.masked_fill(~proposal.eligible, float("-inf"))) == 0
    forced = stuck[:, None] & best & proposal.eligible  # [rows, width]
    wide = torch.float64 if proposal.confidence.dtype == torch.float64 else torch.float32  # both hold token ids exactly
    picked = chosen.to(wide) + 2 * forced.to(wide)
    return torch.stack([proposal.tokens.to(wide), proposal.confidence.to(wide), picked])


def download(plan: ForwardPlan, decided: torch.Tensor, selector: UnmaskSelector) -> list[Commit]:
    """Bring the step's commits to the host in one transfer, one Commit per lane of the plan."""
    tokens, confidence, picked = decided.cpu().numpy()  # each [rows, width]
    commits = []
    for i, lane in enumerate(plan.lanes):
        row, proposed, n_extra = lane.row, lane.row.proposed, len(lane.row.extra)
        who = f"row {row.request.index}, step {row.step}"
        columns = np.flatnonzero(picked[i])
        if len(columns) and columns[-1] >= len(proposed):
            outside = columns[columns >= len(proposed)].tolist()
            raise PluginError(
                f"{_name(selector)}, {who}: chose columns {outside}, but only {len(proposed)} positions are eligible"
            )
        if np.isnan(confidence[i, : len(proposed)]).any():
            bad = proposed[np.isnan(confidence[i, : len(proposed)])].tolist()
            raise ModelError(f"the model gave NaN at positions {bad} ({who})")
        written = tokens[i].astype(np.int64)
        over, new = columns[columns < n_extra], columns[columns >= n_extra]
        certainty, forced = confidence[i, new].astype(np.float64), bool((picked[i] > 1).any())
        commits.append(Commit(proposed[new], written[new], certainty, proposed[over], written[over], forced))
    return commits


def _name(selector: UnmaskSelector) -> str:
    return f"unmask_selector {type(selector).__module__}.{type(selector).__name__}"
