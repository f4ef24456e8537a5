"""What a selector may ask the engine to compute from a forward, beyond tokens and confidences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Attention:
    """Attention probabilities, averaged over the query heads and over `layers`, accumulated in float32 (or float64).

    `layers` counts from 0, negative numbers from the end. `of` says whose rows: those of the eligible positions, or those
    of every query position. With `mean`, also the column means over the rows of all visible positions; a row that is not
    in the query counts as it was when last computed.
    """

    layers: tuple[int, ...]
    of: Literal["eligible", "query"] = "eligible"
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """A selector's declaration of what it reads; fields of the same names appear in `Proposal`."""

    margin: bool = False
    entropy: bool = False
    distribution: bool = False
    change: int = 0  # so many KL divergences of the distribution from that of the step before, the newest last
    observed: bool = False  # the confidence last seen at every committed position (prompt included) and eligible one
    attention: Attention | None = field(default=None)
