"""A threshold that relaxes while a block fills up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    import torch

    from dllmkit.proposal import Proposal
    from dllmkit.signals import Signals
    from dllmkit.slots import Selection
    from dllmkit.state import Row, Span


@dataclass(frozen=True)
class DynamicThreshold:
    """Commit what reaches tau (1 - alpha (1 - r)), r being the share of masks in `scope` before the step.

    `query` counts everything visible from the block's start on: block and kept suffix, so a wide suffix dilutes the decay.
    `window` counts the block alone. `auto` is `query` for fixed blocks, `window` for sliding ones. As released, the first
    step of a block uses tau itself. Source: Streaming-dLLM (arXiv 2601.17917) eq. 10, xiaoshideta/Streaming-dLLM
    LLaDA-1.5/generate.py.
    """

    tau: float = param(0.9, "threshold of an empty block", ge=0, le=1)
    alpha: float = param(0.3, "how much it relaxes; 0: never", ge=0, le=1)
    scope: str = param("auto", "what r counts", choices=("auto", "query", "window"))
    tau_min: float = param(0.0, "never below this", ge=0, le=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """Confidence alone."""
        from dllmkit.signals import Signals

        return Signals()

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        return _Decay(self)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose by the row's threshold of this step; the engine adds the most confident mask of a row that has none."""
        return (proposal.confidence >= proposal.inputs[:, :1]) & proposal.eligible


class _Decay:
    patience = 0

    def __init__(self, policy: DynamicThreshold) -> None:
        self._policy = policy
        self._stage: Span | None = None  # of a sliding block: the whole generation

    def inputs(self, row: Row) -> tuple[float]:
        p, stage = self._policy, row.block.schedule_span
        entered, self._stage = stage != self._stage, stage
        if row.request.as_released and entered:
            return (p.tau,)
        start, stop = row.block.start, row.block.stop
        if p.scope == "query" or (p.scope == "auto" and row.block.stage is None):
            scope = row.visible[row.visible >= start]
            share = float((~row.committed[scope]).sum()) / len(scope)
        else:
            share = len(row.masks(start, stop)) / (stop - start)
        return (max(p.tau_min, p.tau * (1 - p.alpha * (1 - share))),)
