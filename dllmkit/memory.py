"""What was last observed at each position of the rows at work: confidences and attention rows."""

from __future__ import annotations

import torch

from dllmkit.signals import Signals


class Memory:
    """Keeps, on the device and by absolute position, what a cached forward does not compute anew.

    `confidence` [rows, length] is NaN where nothing was observed; `attention` [rows, length + 1, length + 1] holds the last
    computed attention row of each position, the last row and column taking the padding. Each is None unless declared.
    """

    def __init__(
        self, signals: Signals, rows: int, length: int, stored: bool, device: torch.device, dtype: torch.dtype
    ) -> None:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        nan = float("nan")
        self.confidence = torch.full((rows, length + 1), nan, device=device, dtype=wide) if signals.observed else None
        mean = signals.attention is not None and signals.attention.mean
        # without a KV store every row is computed at every step, so nothing has to be kept
        keep = mean and stored
        self.attention = torch.zeros(rows, length + 1, length + 1, device=device, dtype=wide) if keep else None

    def clear(self, row: int) -> None:
        """Forget a row: a new sequence starts in its place."""
        if self.confidence is not None:
            self.confidence[row] = float("nan")
        if self.attention is not None:
            self.attention[row] = 0

    def move(self, source: int, target: int) -> None:
        """Let row `target` take over what row `source` holds."""
        for kept in (self.confidence, self.attention):
            if kept is not None:
                kept[target] = kept[source]

    def observe(self, rows: torch.Tensor, positions: torch.Tensor, confidence: torch.Tensor) -> None:
        """Note confidences; all are [n], `rows` and `positions` say where they were seen."""
        assert self.confidence is not None
        self.confidence[rows, positions] = confidence.to(self.confidence.dtype)

    def observed(self, rows: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return the confidence last seen at `keys` [rows, keys] (-1: padding); NaN where there is none."""
        assert self.confidence is not None
        return (
            self.confidence[rows].gather(1, _padded(keys, self.confidence.shape[1])).masked_fill(keys < 0, float("nan"))
        )

    def attention_mean(
        self, rows: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor, attention: torch.Tensor
    ) -> torch.Tensor:
        """Replace the rows of `queries` and return the mean over the visible positions' rows, [rows, keys].

        `queries` [rows, query] and `keys` [rows, keys] are positions (-1: padding), `attention` [rows, query, keys].
        """
        visible = keys >= 0
        count = visible.sum(dim=1, keepdim=True)
        if self.attention is None:
            return attention.sum(dim=1) / count
        size = self.attention.shape[1]
        at, by, over = rows[:, None], _padded(queries, size), _padded(keys, size)
        self.attention[at, by] = 0
        self.attention[at[:, :, None], by[:, :, None], over[:, None, :]] = attention
        seen = torch.zeros(len(keys), size, device=keys.device, dtype=attention.dtype)
        seen.scatter_(1, over, visible.to(seen.dtype))
        seen[:, -1] = 0  # the padding
        return torch.einsum("rq,rqk->rk", seen, self.attention[rows]).gather(1, over) / count


def _padded(positions: torch.Tensor, size: int) -> torch.Tensor:
    return torch.where(positions < 0, size - 1, positions)
