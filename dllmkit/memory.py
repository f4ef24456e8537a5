"""What was last observed at each position of the rows at work: confidences and attention rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

import torch

from dllmkit.signals import Signals


class Memory:
    """Keeps, on the device and by absolute position, what a cached forward does not compute anew.

    `confidence` [rows, length] is NaN where nothing was observed; `attention` [rows, length + 1, length + 1] holds the last
    computed attention row of each position, the last row and column taking the padding. Each is None unless declared.
    """

    def __init__(
        self,
        signals: Signals,
        rows: int,
        length: int,
        stored: bool,
        device: torch.device,
        dtype: torch.dtype,
        vocabulary: int = 0,
    ) -> None:
        self.device = device
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        nan = float("nan")
        self.confidence = torch.full((rows, length + 1), nan, device=device, dtype=wide) if signals.observed else None
        mean = signals.attention is not None and signals.attention.mean
        # without a KV store every row is computed at every step, so nothing has to be kept
        keep = mean and stored
        self.attention = torch.zeros(rows, length + 1, length + 1, device=device, dtype=wide) if keep else None

        self.change = Change(signals.change, rows, vocabulary, device, wide) if signals.change else None

    def reserve(self, width: int) -> None:
        """Make room for proposals of `width` positions."""
        if self.change is not None:
            self.change.reserve(width)

    @property
    def nbytes(self) -> int:
        """Bytes of device memory held."""
        kept = [self.confidence, self.attention, *(self.change.tensors if self.change is not None else ())]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)

    @property
    def width(self) -> int:
        """Positions that proposals may have: what `reserve` has made room for."""
        return self.change.positions.shape[1] if self.change is not None else 0

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Undo at the end what a step did that a second one would not do again: the same writes are left."""
        kept = [] if self.change is None else [(t, t.clone()) for t in self.change.tensors]
        yield
        for tensor, before in kept:
            tensor.copy_(before)

    def view(self, span: tuple[int, int] | None) -> Memory:
        """Return the rows from `start` to `stop` as a memory of their own on the same tensors, or all rows."""
        if span is None:
            return self
        part, rows = copy(self), slice(*span)
        part.confidence = self.confidence[rows] if self.confidence is not None else None
        part.attention = self.attention[rows] if self.attention is not None else None
        part.change = self.change.view(rows) if self.change is not None else None
        return part

    def clear(self, row: int) -> None:
        """Forget a row: a new sequence starts in its place."""
        if self.confidence is not None:
            self.confidence[row] = float("nan")
        if self.attention is not None:
            self.attention[row] = 0
        if self.change is not None:
            self.change.positions[row] = -1

    def move(self, source: int, target: int) -> None:
        """Let row `target` take over what row `source` holds."""
        for kept in (self.confidence, self.attention):
            if kept is not None:
                kept[target] = kept[source]
        if self.change is not None:
            for kept in self.change.tensors:
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
        self,
        rows: torch.Tensor,
        queries: torch.Tensor,
        keys: torch.Tensor,
        attention: torch.Tensor,
        gathered: bool = True,
    ) -> torch.Tensor:
        """Replace the rows of `queries` and return the mean over the visible positions' rows, [rows, keys].

        `queries` [rows, query] and `keys` [rows, keys] are positions (-1: padding), `attention` [rows, query, keys].
        Unless `gathered`, `rows` are all rows of the memory in order, which are then read where they lie.
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
        held = self.attention[rows] if gathered else self.attention
        return (seen[:, None, :] @ held)[:, 0].gather(1, over) / count


class Change:
    """The distribution of each proposed position in the last forward, and how it changed in the ones before.

    `distribution` [rows, width, vocabulary] and `history` [rows, width, n] belong to `positions` [rows, width] (-1: none);
    `reserve` makes them as wide as the widest proposal met.
    """

    def __init__(self, n: int, rows: int, vocabulary: int, device: torch.device, dtype: torch.dtype) -> None:
        self.positions = torch.full((rows, 0), -1, device=device)
        self.distribution = torch.zeros(rows, 0, vocabulary, device=device, dtype=dtype)
        self.history = torch.zeros(rows, 0, n, device=device, dtype=dtype)

    @property
    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Positions, distributions and history."""
        return self.positions, self.distribution, self.history

    def view(self, rows: slice) -> Change:
        """Return some rows, on the same tensors."""
        part = copy(self)
        part.positions, part.distribution, part.history = (tensor[rows] for tensor in self.tensors)
        return part

    def update(self, rows: torch.Tensor, positions: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        """Take in the distributions `p` [rows, width, vocabulary] at `positions`; return their divergences [rows, width, n].

        A divergence is sum p (log p - log p'), p' being the distribution in the forward before; +inf if there was none. A
        row without positions is padding and left alone.
        """
        held, width = self.positions.shape[1], positions.shape[1]
        used = (positions >= 0).any(dim=1)  # [rows]
        match = (positions[:, :, None] == self.positions[rows][:, None, :]) & (positions >= 0)[:, :, None]
        known, index = match.any(dim=2), match.int().argmax(dim=2)  # [rows, width]
        p = p.to(self.distribution.dtype)
        before = self.distribution[rows].gather(1, index[:, :, None].expand_as(p))
        tiny = 1e-12  # as in the released code
        divergence = (p * ((p + tiny).log() - (before + tiny).log())).sum(dim=2, keepdim=True)
        past = self.history[rows].gather(1, index[:, :, None].expand(-1, -1, self.history.shape[2]))
        history = torch.cat([past[:, :, 1:], divergence], dim=2)
        history = torch.where(known[:, :, None], history, float("inf"))
        now = torch.nn.functional.pad(positions, (0, held - width), value=-1)  # [rows, held]
        self.positions[rows] = torch.where(used[:, None], now, self.positions[rows])
        wide = used[:, None, None]
        self.distribution[rows, :width] = torch.where(wide, p, self.distribution[rows, :width])
        self.history[rows, :width] = torch.where(wide, history, self.history[rows, :width])
        return history

    def reserve(self, width: int) -> None:
        """Make room for proposals of `width` positions, keeping what is stored."""
        rows, held = self.positions.shape
        if width <= held:
            return
        grown = torch.full((rows, width), -1, device=self.positions.device)
        grown[:, :held] = self.positions
        distribution = self.distribution.new_zeros(rows, width, self.distribution.shape[2])
        history = self.history.new_full((rows, width, self.history.shape[2]), float("inf"))
        distribution[:, :held], history[:, :held] = self.distribution, self.history
        self.positions, self.distribution, self.history = grown, distribution, history


def _padded(positions: torch.Tensor, size: int) -> torch.Tensor:
    return torch.where(positions < 0, size - 1, positions)
