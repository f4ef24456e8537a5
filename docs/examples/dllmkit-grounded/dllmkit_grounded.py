"""An unmask selector that asks for attention: commit what is predicted from tokens that are decided."""

from dataclasses import dataclass

from dllmkit import hookimpl
from dllmkit.parameters import check_parameters, param


@dataclass(frozen=True)
class Grounded:
    """Commit confident masks whose attention falls mostly on committed positions."""

    tau: float = param(0.7, "lowest confidence that is committed", ge=0, le=1)
    most_open: float = param(0.3, "largest share of the attention that may fall on masks", ge=0, le=1)
    layers: int = param(2, "layers averaged, counted from the last", ge=1)

    def __post_init__(self):
        check_parameters(self)

    @property
    def signals(self):
        from dllmkit.signals import Attention, Signals

        return Signals(attention=Attention(layers=tuple(range(-self.layers, 0))))

    def begin(self, row):
        return Selection()

    def select(self, proposal):
        keys = proposal.keys
        undecided = (keys.positions >= 0) & ~keys.committed  # [rows, keys]
        share = (proposal.attention * undecided[:, None, :]).sum(dim=2)  # [rows, width]
        return proposal.eligible & (proposal.confidence >= self.tau) & (share <= self.most_open)


class Selection:
    patience = 0  # no forward may commit nothing

    def inputs(self, row):
        return ()  # `select` needs no number of this step


@hookimpl
def dllmkit_unmask_selectors():
    return {"grounded": Grounded}
