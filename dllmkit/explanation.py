"""Why a step chose what it chose: what a selector says on request, and what reaches observers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dllmkit.errors import PluginError
from dllmkit.state import Positions

if TYPE_CHECKING:
    import torch

    from dllmkit.plan import ForwardPlan
    from dllmkit.proposal import Proposal
    from dllmkit.slots import UnmaskSelector


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an unmask selector's optional `explain(proposal)` returns, under names of its own choice.

    `eligible` has tensors [rows, width], `visible` bool [rows, keys], `edges` [rows, width, keys]: from an eligible position
    to a visible one, 0 or False where there is none. A bool tensor is a set of positions, a float tensor of `eligible` one
    value for each position.
    """

    eligible: Mapping[str, torch.Tensor] = field(default_factory=dict)
    visible: Mapping[str, torch.Tensor] = field(default_factory=dict)
    edges: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Edges(NamedTuple):
    """Arrows between absolute positions; the three arrays are [n]."""

    source: Positions
    target: Positions
    weight: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Details:
    """What a step knew at its eligible positions, and the selector's reasons.

    `tokens`, `confidence` and each of `values` belong to the step's eligible positions, in order; `sets` and `edges` hold
    absolute positions.
    """

    tokens: np.ndarray  # the proposals, [eligible]
    confidence: np.ndarray  # [eligible]
    values: Mapping[str, np.ndarray]
    sets: Mapping[str, Positions]
    edges: Mapping[str, Edges]


def explain(plan: ForwardPlan, proposal: Proposal, selector: UnmaskSelector) -> list[Details]:
    """Bring to the host what `proposal` says of every eligible position and what the selector adds, per lane of the plan.

    Called only when an observer asks for details: it transfers far more than a step does. A selector without `explain`
    adds nothing; one whose tensors have another shape raises PluginError.
    """
    said = selector.explain(proposal) if hasattr(selector, "explain") else Explanation()
    _check(said, proposal, f"unmask_selector {type(selector).__module__}.{type(selector).__name__}")
    measured = {"margin": proposal.margin, "entropy": proposal.entropy}
    over_eligible = {**{name: value for name, value in measured.items() if value is not None}, **said.eligible}
    details = []
    for i, lane in enumerate(plan.lanes):
        row, first = lane.row, len(lane.row.extra)  # columns before `first` are a released selector's extra positions
        columns = slice(first, first + len(row.eligible))
        own = {name: tensor[i, columns].cpu().numpy() for name, tensor in over_eligible.items()}
        sets = {name: row.eligible[flags] for name, flags in own.items() if flags.dtype == bool}
        values = {name: value.astype(np.float64) for name, value in own.items() if value.dtype != bool}
        edges: dict[str, Edges] = {}
        if proposal.keys is not None:
            keys = proposal.keys.positions[i].cpu().numpy()
            for name, flags in said.visible.items():
                marked = keys[flags[i].cpu().numpy()]
                sets[name] = np.sort(marked[marked >= 0])
            for name, weights in said.edges.items():
                edges[name] = _edges(weights[i, columns].cpu().numpy(), row.eligible, keys)
        tokens, confidence = proposal.tokens[i, columns].cpu(), proposal.confidence[i, columns].double().cpu()
        details.append(Details(tokens.numpy(), confidence.numpy(), values, sets, edges))
    return details


def _edges(weights: np.ndarray, eligible: Positions, keys: np.ndarray) -> Edges:
    """The non-zero entries of `weights` [eligible, keys], by source and then target."""
    source, column = np.nonzero(weights)
    weight = weights[source, column].astype(np.float64)
    target = keys[column]
    order = np.lexsort((target, source))
    order = order[target[order] >= 0]
    return Edges(eligible[source[order]], target[order], weight[order])


def _check(said: Explanation, proposal: Proposal, who: str) -> None:
    rows, width = proposal.eligible.shape
    keys = None if proposal.keys is None else proposal.keys.positions.shape[1]
    if keys is None and (said.visible or said.edges):
        raise PluginError(f"{who}: explains visible positions, but declares no signal that has them")
    for part, expected in (
        (said.eligible, (rows, width)), (said.visible, (rows, keys)), (said.edges, (rows, width, keys)),
    ):  # fmt: skip
        for name, tensor in part.items():
            if part is said.visible and str(tensor.dtype) != "torch.bool":
                raise PluginError(f"{who}: explains '{name}' with {tensor.dtype}, expected torch.bool")
            if tuple(tensor.shape) != expected:
                raise PluginError(
                    f"{who}: explains '{name}' with shape {list(tensor.shape)}, expected {list(expected)}"
                )
