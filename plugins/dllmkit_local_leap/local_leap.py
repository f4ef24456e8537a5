"""A relaxed threshold in the neighbourhood of confident positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    import torch

    from dllmkit.proposal import Proposal
    from dllmkit.signals import Signals
    from dllmkit.slots import Selection
    from dllmkit.state import Row


@dataclass(frozen=True)
class LocalLeap:
    """Commit what reaches tau, but within `radius` of such a position what reaches tau_relaxed.

    Anchors are this step's eligible masks at or above tau; they lie in their own neighbourhood, so a tau_relaxed above tau
    holds for them too. The authors' repository was not obtainable; this follows the
    re-implementation in lizhuo-luo/DAWN llada/generate.py.
    """

    tau: float = param(0.9, "confidence of an anchor", ge=0, le=1)
    tau_relaxed: float = param(0.75, "confidence that is enough near an anchor", ge=0, le=1)
    radius: int = param(4, "positions on either side of an anchor", ge=0)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """Confidence alone."""
        from dllmkit.signals import Signals

        return Signals()

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        from dllmkit.slots import Constant

        return Constant(self.tau, self.tau_relaxed)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose by threshold; the engine adds the most confident mask of a row that has none."""
        import torch

        tau, relaxed = proposal.inputs[:, :1], proposal.inputs[:, 1:]
        anchor = (proposal.confidence >= tau) & proposal.eligible  # [rows, width]
        distance = (proposal.positions[:, :, None] - proposal.positions[:, None, :]).abs()  # [rows, width, width]
        near = ((distance <= self.radius) & anchor[:, None, :]).any(dim=2)
        enough = torch.where(near, proposal.confidence >= relaxed, proposal.confidence >= tau)
        return enough & proposal.eligible
