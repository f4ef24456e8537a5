"""The KV store: keys (after RoPE) and values of visible positions, one slot each, found by absolute position."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dllmkit.state import Positions

NO_SLOT = -1
GROWTH = 64  # slots are added in multiples of this, so that a growing context does not reallocate at every step


class KVStore:
    """Keys and values of every layer, for the rows of a batch.

    Tensors are [rows, kv_heads, slots + 1, head_dim]; the last slot takes the writes of padding and is never read. Which
    position lies in which slot is host state. A position has a slot only while it is visible, so memory follows the widest
    visible set met so far, not the canvas.
    """

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        rows: int,
        length: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._shape = (rows, kv_heads, head_dim)
        self._device, self._dtype, self._layers = device, dtype, layers
        self.rows, self.capacity = rows, 0
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.slot_of = np.full((rows, length), NO_SLOT, dtype=np.int64)
        self.n_used = np.zeros(rows, dtype=np.int64)  # slots [0, n_used) of a row may be in use
        self._views: dict[tuple[int, int] | None, Store] = {}

    @property
    def length(self) -> int:
        """Positions of the longest canvas."""
        return int(self.slot_of.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of device memory held."""
        return sum(t.numel() * t.element_size() for t in [*self.keys, *self.values])

    def holds(self, row: int, positions: Positions) -> NDArray[np.bool_]:
        """Say for each position whether it has an entry, bool [n]."""
        return np.asarray(self.slot_of[row, positions] != NO_SLOT, dtype=np.bool_)

    def place(self, row: int, visible: Positions, query: Positions) -> Positions:
        """Give every query position a slot and free those of positions out of sight; return the slots of `query` [n].

        A refresh packs the row anew: slot k holds the k-th visible position.
        """
        slots = self.slot_of[row]
        if len(query) == len(visible):
            slots[:] = NO_SLOT
            slots[visible] = np.arange(len(visible))
            self.n_used[row] = len(visible)
        else:
            kept = slots[visible]
            slots[:] = NO_SLOT
            slots[visible] = kept
            new = query[slots[query] == NO_SLOT]
            if len(new):
                slots[new] = self._free(kept[kept != NO_SLOT], len(new))
            self.n_used[row] = int(slots[visible].max()) + 1
        self.reserve(int(self.n_used[row]))
        return np.asarray(slots[query], dtype=np.int64)

    def _free(self, used: np.ndarray, n: int) -> np.ndarray:
        free = np.ones(len(used) + n, dtype=bool)  # the lowest n free slots lie below this
        free[used[used < len(free)]] = False
        return np.flatnonzero(free)[:n]

    def reserve(self, slots: int) -> None:
        """Make room for `slots` slots a row, keeping what is stored."""
        if slots <= self.capacity:
            return
        rows, heads, dim = self._shape
        old, self.capacity = self.capacity, -(-slots // GROWTH) * GROWTH
        self._views.clear()
        for side in (self.keys, self.values):
            grown = []
            for layer in range(self._layers):  # one layer at a time: the peak is one layer above the result
                # zeros: a slot that was never written is masked, but 0 * NaN would still spoil the output
                tensor = torch.zeros(rows, heads, self.capacity + 1, dim, device=self._device, dtype=self._dtype)
                if old:
                    tensor[:, :, :old] = side[layer][:, :, :old]
                    side[layer] = tensor
                else:
                    grown.append(tensor)
            if not old:
                side.extend(grown)

    def positions(self, row: int, n_slots: int) -> np.ndarray:
        """Return the position in each of the first `n_slots` slots, -1 where there is none, int64 [n_slots]."""
        held = np.full(n_slots, -1, dtype=np.int64)
        here = np.flatnonzero(self.slot_of[row] != NO_SLOT)
        held[self.slot_of[row, here]] = here
        return held

    def clear(self, row: int) -> None:
        """Forget a row: a new sequence starts in its place."""
        self.slot_of[row] = NO_SLOT
        self.n_used[row] = 0

    def move(self, source: int, target: int) -> None:
        """Let row `target` take over what row `source` holds, so that the rows in use stay a run."""
        n = int(self.n_used[source])
        for tensor in [*self.keys, *self.values]:
            tensor[target, :, :n] = tensor[source, :, :n]
        self.slot_of[target] = self.slot_of[source]
        self.n_used[target] = n
        self.clear(source)

    def view(self, span: tuple[int, int] | None) -> Store:
        """Return the tensors of the rows from `start` to `stop`, or of all rows."""
        if span not in self._views:
            start, stop = span or (0, self.rows)
            self._views[span] = Store(
                tuple(t[start:stop] for t in self.keys), tuple(t[start:stop] for t in self.values)
            )
        return self._views[span]


class Store(NamedTuple):
    """Keys and values of some rows: for each layer [rows, kv_heads, slots + 1, head_dim], views of the whole store."""

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
