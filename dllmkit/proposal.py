"""What the model proposes in one step, at the eligible positions of every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Proposal:
    """Tensors over [rows, width]: one row per sequence, one column per eligible position, in ascending order.

    Rows have different numbers of eligible positions; `eligible` is False in the padding (and in the first columns, where
    a released selector asked for `extra` positions). Signals that the selector did not declare are None. Positions are
    absolute.
    """

    positions: torch.Tensor  # [rows, width] int64, -1 in the padding
    eligible: torch.Tensor  # [rows, width] bool
    tokens: torch.Tensor  # [rows, width] int64, never the mask token
    confidence: torch.Tensor  # [rows, width] probability of the token, -inf in the padding
    inputs: torch.Tensor  # [rows, n] this step's numbers from `Selection.inputs`, dtype of the confidence
    margin: torch.Tensor | None = None  # [rows, width] top-1 minus top-2 probability, -inf in the padding
    entropy: torch.Tensor | None = None  # [rows, width] nats, +inf in the padding
    distribution: torch.Tensor | None = None  # [rows, width, vocabulary], 0 in the padding
    change: torch.Tensor | None = (
        None  # [rows, width, n] nats; +inf where the position was not proposed in consecutive steps
    )
    attention: torch.Tensor | None = None  # [rows, width or query, keys] mean probabilities, 0 in the padding
    attention_queries: torch.Tensor | None = None  # [rows, width or query] int64 position of each row, -1: padding
    attention_mean: torch.Tensor | None = None  # [rows, keys] mean over the visible positions' rows
    observed: torch.Tensor | None = (
        None  # [rows, keys] confidence last seen at each key committed or eligible, NaN if never
    )
    keys: KeyColumns | None = None  # what the key columns are, where a signal has them


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The visible positions as columns, in the order in which attention reads them."""

    positions: torch.Tensor  # [rows, keys] int64, -1 in the padding
    committed: torch.Tensor  # [rows, keys] bool: prompt and committed positions; False in the padding
    proposed: torch.Tensor  # [rows, width] int64: the key column of each proposed position, 0 in the padding


def upper_bound(size: int) -> int:
    """Return a bound of a size that takes few values: 32, 64, 128, ...

    For loops whose rounds follow a size: a compiled step is compiled anew for each number of rounds, not for each size.
    """
    bound = 32
    while bound < size:
        bound *= 2
    return bound


def ranks(score: torch.Tensor) -> torch.Tensor:
    """Rank the columns of each row by descending score, from 0; equal scores rank by ascending column.

    `score` is [rows, width]; so is the result, int64.
    """
    order = score.argsort(dim=1, descending=True, stable=True)  # [rows, width]
    return order.argsort(dim=1)
