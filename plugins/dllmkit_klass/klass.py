"""Masks whose distribution has stopped changing, and is confident."""

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
class Klass:
    """Commit masks with confidence above tau whose last `history` KL divergences from step to step are all below kl.

    Where there is none, commit the most confident ones by the quota of the step. A position's history counts from the step
    in which it became eligible, and starts anew when it was not eligible in between. Source: KLASS (NeurIPS 2025),
    shkim0116/KLASS. The released code keeps the distribution of every position of the canvas instead (length × vocabulary
    in float64), so that a later block begins with a history; this is not reproduced, also not as released.
    """

    tau: float = param(0.9, "confidence to be exceeded", ge=0, le=1)
    kl: float = param(0.01, "divergence in nats to stay below", gt=0)
    history: int = param(2, "divergences that must be small", ge=1)
    steps: int | None = param(None, "steps of the quota for the whole generation; null: one per position", ge=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """The divergences from step to step."""
        from dllmkit.signals import Signals

        return Signals(change=self.history)

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        return _Fallback(self.steps or row.gen_length)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose the settled masks of a row, or by quota if it has none."""
        from dllmkit.proposal import ranks

        assert proposal.change is not None
        settled = (proposal.change < self.kl).all(dim=2)  # [rows, width]
        ready = settled & (proposal.confidence > self.tau) & proposal.eligible
        first = (ranks(proposal.confidence) < proposal.inputs[:, :1]) & proposal.eligible
        return ready | (first & ~ready.any(dim=1, keepdim=True))


class _Fallback:
    """The quota of each step of a stage, whatever the steps before it committed."""

    patience = 0

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._stage: Span | None = None

    def inputs(self, row: Row) -> tuple[float]:
        from dllmkit_baseline.quota import quota_until

        stage = row.block.schedule_span
        if stage != self._stage:
            self._stage, self._done = stage, 0
            self._masks = len(row.masks(stage.start, stage.stop))
            self._share = max(1, self._steps * len(stage) // row.gen_length)
        self._done += 1
        before, after = (quota_until(j, self._masks, self._share) for j in (self._done - 1, self._done))
        return (max(1, after - before),)
