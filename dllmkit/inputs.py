"""The device side of a forward: its index tensors, the KV store and the memory that it reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from dllmkit.kv import Store
from dllmkit.memory import Memory

if TYPE_CHECKING:
    from dllmkit.kv import KVStore
    from dllmkit.plan import ForwardPlan

ALIGNMENT = 8  # elements of int64: every table starts at a multiple of 64 bytes, as vector loads like it


class StepInputs(NamedTuple):
    """All that a forward, its proposal and its selection read; `n` counts the proposed positions of all rows together.

    Rows are padded with position -1 (whose keys go to the store's spare slot); the language-model head runs on the `n`
    rows of `sources`. `gathered`, `masked` and `dense` are facts of the whole step: the rows are not neighbours in the
    store; some key slots are empty; no row of [rows, width] is padded.
    """

    tokens: torch.Tensor  # [rows, query]
    positions: torch.Tensor  # [rows, query], 0 in the padding
    rows: torch.Tensor  # [rows] row of each lane in `store` and `memory`
    slots: torch.Tensor  # [rows, query]
    key_positions: torch.Tensor  # [rows, keys], -1 where a slot is empty
    key_committed: torch.Tensor  # [rows, keys] bool
    query_positions: torch.Tensor  # [rows, query], -1 in the padding
    sources: torch.Tensor  # [n] index into rows * query of the row that predicts each proposed position
    scatter: torch.Tensor  # [n] index into rows * width + 1; the last is for padding
    own: torch.Tensor  # [rows, width] index into query of each proposed position's own row
    own_key: torch.Tensor  # [rows, width] index into keys of each proposed position
    proposed: torch.Tensor  # [rows, width] absolute positions, -1 in the padding
    eligible: torch.Tensor  # [rows, width] bool
    force: torch.Tensor  # [rows] bool: commit the best mask if the selector chooses none
    inputs: torch.Tensor  # [rows, k] float64
    seen: torch.Tensor | None  # [m] index into rows * query of the rows that predict committed positions, if asked for
    seen_row: torch.Tensor | None  # [m] index into `rows`
    seen_position: torch.Tensor | None  # [m] the position each predicts, -1 in the padding
    noise: torch.Tensor | None  # [n, vocabulary] the sampler's random numbers
    store: Store | None
    memory: Memory
    gathered: bool
    masked: bool
    dense: bool

    def typed(self) -> StepInputs:
        """Give flags and numbers their types back: all tables are uploaded as int64."""
        return self._replace(
            key_committed=self.key_committed != 0,
            eligible=self.eligible != 0,
            force=self.force != 0,
            inputs=self.inputs.view(torch.float64),
        )


def flatten(tables: dict[str, np.ndarray]) -> np.ndarray:
    """Lay tables one after the other, each padded to ALIGNMENT: int64 [sum of the sizes]."""
    return np.concatenate([np.pad(t.ravel(), (0, -t.size % ALIGNMENT)) for t in tables.values()])


def views(flat: torch.Tensor, tables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Cut the device's copy of `flatten(tables)` into tensors of the tables' shapes, without copying."""
    found, start = {}, 0
    for name, table in tables.items():
        found[name] = flat[start : start + table.size].view(table.shape)
        start += table.size + -table.size % ALIGNMENT
    return found


def upload(tables: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Copy tables to the device in one transfer."""
    flat = torch.from_numpy(flatten(tables))
    if device.type == "cuda":
        flat = flat.pin_memory()  # a transfer from pinned memory does not wait
    return views(flat.to(device, non_blocking=True), tables)


def assemble(
    tables: dict[str, torch.Tensor], plan: ForwardPlan, kv: KVStore | None, memory: Memory, noise: torch.Tensor | None
) -> StepInputs:
    """Put together what a step reads, from the uploaded tables of its plan."""
    span = plan.span
    memory.reserve(plan.shape[3])
    unasked: dict[str, Any] = dict.fromkeys({"seen", "seen_row", "seen_position"} - set(tables))
    return StepInputs(
        **tables, **unasked, noise=noise, store=kv.view(span) if kv is not None else None, memory=memory.view(span),
        gathered=span is None, masked=plan.masked, dense=plan.dense,
    )  # fmt: skip


def prepare(plan: ForwardPlan, kv: KVStore | None, memory: Memory, noise: torch.Tensor | None = None) -> StepInputs:
    """Upload a plan."""
    return assemble(upload(plan.tables, memory.device), plan, kv, memory, noise)
