"""DAWN's selector: confident masks, masks that confident tokens induce, and an independent set of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    import torch

    from dllmkit.explanation import Explanation
    from dllmkit.proposal import KeyColumns, Proposal
    from dllmkit.signals import Signals
    from dllmkit.slots import Selection
    from dllmkit.state import Positions, Row


@dataclass(frozen=True)
class Dawn:
    """Commit by confidence and by the dependencies that attention shows.

    j depends on i if j attends to i with at least tau_edge, i being no sink (mean attention above tau_sink). Committed are
    HIGH (confidence of tau_high), INDUCED (tau_induce, and dependent on an anchor: a committed position before the block's
    end that is seen with tau_high now), and of the CANDIDATES (tau_low, none of the former, not blocked) a set in which none
    depends on another, the most confident first. `blocked` are masks that depend on positions in HIGH and INDUCED (`and`, as
    released), in either (`or`), or none. With a cache, sinks use the last computed row of every visible position and anchors
    the last observed confidence; without one both are this step's. Source: DAWN (arXiv 2602.06953), lizhuo-luo/DAWN
    llada/generate.py. As released, position 0 is overwritten whenever a candidate was left out (its loop runs on over an
    empty set).
    """

    tau_high: float = param(0.9, "confidence that is always committed, and that makes an anchor", ge=0, le=1)
    tau_sink: float = param(0.01, "mean attention above which a position is a sink", ge=0, le=1)
    tau_edge: float = param(0.07, "attention that makes a dependency", gt=0)
    tau_induce: float = param(0.7, "confidence that is enough next to an anchor", ge=0, le=1)
    tau_low: float = param(0.75, "confidence of a candidate", ge=0, le=1)
    layers: int = param(4, "layers averaged, counted from the last", ge=1)
    blocked: str = param("and", "what blocks a candidate", choices=("and", "or", "none"))

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def signals(self) -> Signals:
        """Attention of the last layers with its column means, and confidences at committed positions."""
        from dllmkit.signals import Attention, Signals

        return Signals(observed=True, attention=Attention(tuple(range(-self.layers, 0)), mean=True))

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        return _BlockEnd()

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose HIGH, INDUCED and an independent set of the candidates, in rows on their own."""
        sets = self._sets(proposal)
        left_out = sets.independent.sum(dim=1) < sets.candidates.sum(dim=1)
        extra = (proposal.positions >= 0) & ~proposal.eligible  # there only as released: position 0
        return sets.high | sets.induced | sets.independent | (extra & left_out[:, None])

    def explain(self, proposal: Proposal) -> Explanation:
        """Name the sets of the choice, the sinks and anchors, and the dependencies with their attention."""
        from dllmkit.explanation import Explanation

        assert proposal.attention is not None
        sets = self._sets(proposal)
        return Explanation(
            eligible={
                "high": sets.high,
                "induced": sets.induced,
                "candidates": sets.candidates,
                "independent": sets.independent,
                "blocked": sets.blocked,
            },
            visible={"anchors": sets.anchors, "sinks": self._sinks(proposal)},
            edges={"depends": proposal.attention * sets.depends},
        )

    def _sets(self, proposal: Proposal) -> _Sets:
        from dllmkit_dawn.independent import independent_set

        keys = proposal.keys
        assert keys is not None
        p, mask = proposal.confidence, proposal.eligible  # [rows, width]
        depends = self._dependencies(proposal)  # [rows, width, keys]: does j depend on the key's position?
        high = mask & (p >= self.tau_high)
        anchors = self._anchors(proposal, keys)
        induced = mask & (p >= self.tau_induce) & (depends & anchors[:, None, :]).any(dim=2)
        among = depends.gather(2, keys.proposed[:, None, :].expand(-1, p.shape[1], -1))  # [rows, width, width]
        chosen = high | induced
        blockers = {"and": high & induced, "or": chosen, "none": mask & False}[self.blocked]
        blocked = (among & blockers[:, None, :]).any(dim=2)
        blocked = mask & (p >= self.tau_low) & ~chosen & blocked
        candidates = mask & (p >= self.tau_low) & ~chosen & ~blocked
        independent = independent_set(p, candidates, among | among.transpose(1, 2))
        return _Sets(high, induced, blocked, candidates, independent, anchors, depends)

    def _sinks(self, proposal: Proposal) -> torch.Tensor:
        """Keys that everything attends to, bool [rows, keys]."""
        assert proposal.attention_mean is not None
        return proposal.attention_mean > self.tau_sink

    def _dependencies(self, proposal: Proposal) -> torch.Tensor:
        """Edges, bool [rows, width, keys], without sinks and without j itself."""
        assert proposal.attention is not None
        assert proposal.keys is not None
        edge = (proposal.attention >= self.tau_edge) & ~self._sinks(proposal)[:, None, :]
        return edge & (proposal.positions[:, :, None] != proposal.keys.positions[:, None, :])

    def _anchors(self, proposal: Proposal, keys: KeyColumns) -> torch.Tensor:
        """Committed positions before the block's end that are confident now, bool [rows, keys]."""
        assert proposal.observed is not None
        return keys.committed & (keys.positions < proposal.inputs[:, :1]) & (proposal.observed >= self.tau_high)


class _Sets(NamedTuple):
    """The rule's sets, bool [rows, width]; `anchors` is [rows, keys], `depends` [rows, width, keys]."""

    high: torch.Tensor
    induced: torch.Tensor
    blocked: torch.Tensor  # would be candidates
    candidates: torch.Tensor
    independent: torch.Tensor
    anchors: torch.Tensor
    depends: torch.Tensor


class _BlockEnd:
    patience = 0

    def inputs(self, row: Row) -> tuple[float]:
        return (row.block.stop,)

    def extra(self, row: Row) -> Positions:
        import numpy as np

        return np.arange(1 if row.request.as_released else 0)
