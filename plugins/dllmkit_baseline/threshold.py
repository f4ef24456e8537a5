"""Every mask above a fixed confidence (Fast-dLLM's parallel decoding)."""

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
class Threshold:
    """Commit every eligible mask whose confidence is at least tau, and always the most confident one.

    Source: Fast-dLLM (arXiv 2505.22618), NVlabs/Fast-dLLM llada/generate.py `get_transfer_index`.
    """

    tau: float = param(0.9, "lowest confidence that is committed", ge=0, le=1)

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

        return Constant(self.tau)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose by threshold; the engine adds the most confident mask of a row that has none."""
        return (proposal.confidence >= proposal.inputs[:, :1]) & proposal.eligible
