"""As many masks as their joint confidence allows (Fast-dLLM's factor rule)."""

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
class Factor:
    """Commit the n most confident masks for the largest n with (n + 1) (1 - c_n) <= factor at every n from 2 on.

    c_n is the n-th highest confidence; n is at least 1. Source: Fast-dLLM (arXiv 2505.22618), eq. for factor decoding;
    lizhuo-luo/DSB llada/generate.py `get_transfer_index_dynamic`. As released, a failing candidate that is the last of all is
    committed too (its loop does not tell "ran out" from "failed at the last").
    """

    factor: float = param(1.0, "bound of (n + 1) (1 - c_n)", gt=0)

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

        return Constant(self.factor, row.request.as_released)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose the longest run of the ranking in which every confidence reaches its bound."""
        from dllmkit.proposal import ranks

        factor, released = proposal.inputs[:, :1], proposal.inputs[:, 1] > 0
        rank = ranks(proposal.confidence)  # [rows, width]
        reaches = (rank == 0) | (proposal.confidence >= 1 - factor / (rank + 2))
        in_order = (
            reaches.gather(1, rank.argsort(dim=1)) & proposal.eligible
        )  # eligible columns rank first, so this is a prefix
        count = in_order.int().cumprod(dim=1).sum(dim=1)  # [rows]
        candidates = proposal.eligible.sum(dim=1)
        count = count + (released & (count == candidates - 1)).int()
        return (rank < count[:, None]) & proposal.eligible
