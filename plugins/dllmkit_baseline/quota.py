"""A fixed number of tokens per step, the most confident ones (LLaDA's low-confidence remasking)."""

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
class Quota:
    """Commit the k most confident masks, where k spreads a block's masks evenly over its share of the steps.

    A block with m masks and S steps commits floor(m / S) + [j < m mod S] at its step j. Blocks share `steps` in proportion
    to their length. A sliding block has one schedule over the whole generation; what one step could not commit, because too
    few masks were eligible, is carried to the next. Source: ML-GSAI/LLaDA generate.py `get_num_transfer_tokens`.
    """

    steps: int | None = param(None, "steps for the whole generation; null: one per generated position", ge=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """Confidence alone."""
        from dllmkit.signals import Signals

        return Signals()

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        return _Schedule(self.steps or row.gen_length)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose the first k columns by confidence; ties go to the lower position."""
        from dllmkit.proposal import ranks

        return (ranks(proposal.confidence) < proposal.inputs[:, :1]) & proposal.eligible


class _Schedule:
    """Counts the steps of the current stage; what is due is the schedule so far minus what was committed."""

    patience = 0

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._stage: Span | None = None

    def inputs(self, row: Row) -> tuple[float]:
        stage = row.block.schedule_span
        if stage != self._stage:
            self._stage, self._done, self._before = stage, 0, row.n_committed
            self._masks = len(row.masks(stage.start, stage.stop))
            self._share = max(1, self._steps * len(stage) // row.gen_length)
        self._done += 1
        due = quota_until(self._done, self._masks, self._share) - (row.n_committed - self._before)
        return (max(1, due),)


def quota_until(step: int, masks: int, steps: int) -> int:
    """Return how many of `masks` are committed after `step` of `steps` steps: larger quotas come first."""
    step = min(step, steps)
    return step * (masks // steps) + min(step, masks % steps)
