"""Dream's time schedule: the share of masks that a step commits follows a linear diffusion time."""

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
class DreamSchedule:
    """Commit floor(m (1 - t_{j+1} / t_j)) of the m masks in step j, the best by `measure`; all of them in the last step.

    t runs linearly from 1 to `eps`. Each block has its own schedule over its share of the steps (the global schedule of the
    original is one block as long as the generation). A sliding block has one schedule over all masks of the generation; what
    is not eligible yet stays among the m of later steps. Source: Dream generation_utils.py `_sample`, block version
    lizhuo-luo/DSB dream/model/generation_utils_block.py. As released a step may commit nothing; by default it commits one.
    """

    steps: int | None = param(None, "steps for the whole generation; null: one per generated position", ge=1)
    measure: str = param("neg_entropy", "what ranks the masks", choices=("confidence", "margin", "neg_entropy"))
    eps: float = param(1e-3, "time at which the schedule ends", gt=0, lt=1)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """What `measure` names."""
        from dllmkit.signals import Signals

        return Signals(margin=self.measure == "margin", entropy=self.measure == "neg_entropy")

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        return _Schedule(self.steps or row.gen_length, self.eps, row.request.as_released)

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose the first k columns by the measure; ties go to the lower position."""
        from dllmkit.proposal import ranks

        score = proposal.confidence
        if proposal.margin is not None:
            score = proposal.margin
        elif proposal.entropy is not None:
            score = -proposal.entropy
        return (ranks(score) < proposal.inputs[:, :1]) & proposal.eligible


class _Schedule:
    def __init__(self, steps: int, eps: float, released: bool) -> None:
        self._steps, self._eps, self._least = steps, eps, 0 if released else 1
        self.patience = steps if released else 0
        self._stage: Span | None = None

    def inputs(self, row: Row) -> tuple[float]:
        stage = row.block.schedule_span
        if stage != self._stage:
            self._stage, self._j = stage, 0
            self._times = _times(max(1, self._steps * len(stage) // row.gen_length), self._eps)
        masks = len(row.masks(stage.start, stage.stop))
        j, last = self._j, len(self._times) - 2
        self._j += 1
        if j >= last:
            return (masks,)
        share = 1 - self._times[j + 1] / self._times[j]
        return (max(self._least, int(masks * share)),)


def _times(steps: int, eps: float) -> torch.Tensor:
    """The times as the reference computes them: truncation to whole tokens depends on float32."""
    import torch

    return torch.linspace(1, eps, steps + 1)
