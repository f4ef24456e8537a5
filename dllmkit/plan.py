"""The plan of one forward: the four nested sets of its rows, padded and uploaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dllmkit.kv import KVStore
from dllmkit.lane import Lane
from dllmkit.memory import Memory

WASTE = 1.25  # rows share a forward while padding makes it at most this much larger


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPlan:
    """One forward: which tokens go in at which positions, where their keys go, and which rows give logits.

    `n` counts the proposed positions of all rows together (the eligible ones, and a released selector's extra ones): the
    language-model head runs on exactly these. Padding of the query repeats position 0 and writes its keys to the store's
    spare slot.
    """

    lanes: tuple[Lane, ...]
    kv: KVStore | None
    memory: Memory
    kv_rows: tuple[int, ...]
    n_keys: int
    tokens: torch.Tensor  # [rows, query]
    positions: torch.Tensor  # [rows, query]
    row_index: torch.Tensor  # [rows] row of each lane in the KV store and the memory
    lengths: torch.Tensor  # [rows] positions of each canvas
    slots: torch.Tensor  # [rows, query]
    key_mask: torch.Tensor | None  # [rows, 1, 1, keys] bool; None when every key counts
    key_positions: torch.Tensor  # [rows, keys], -1 where a slot is empty
    key_committed: torch.Tensor  # [rows, keys] bool
    query_positions: torch.Tensor  # [rows, query], -1 in the padding
    sources: torch.Tensor  # [n] index into rows * query of the row that predicts each proposed position
    own: torch.Tensor  # [rows, width] index into query of each proposed position's own row
    own_key: torch.Tensor  # [rows, width] index into keys of each proposed position
    scatter: torch.Tensor  # [n] index into rows * width
    proposed: torch.Tensor  # [rows, width] absolute positions, -1 in the padding
    eligible: torch.Tensor  # [rows, width] bool
    force: torch.Tensor  # [rows] bool: commit the best mask if the selector chooses none
    inputs: torch.Tensor  # [rows, k] float64


def pack(lanes: Sequence[Lane], kv: KVStore | None, memory: Memory, device: torch.device) -> list[ForwardPlan]:
    """Make the forwards of one step: rows whose queries are of like length share one."""
    groups: list[list[Lane]] = []
    for lane in sorted(lanes, key=lambda one: len(one.row.query)):  # stable: equal lengths keep their order
        total = sum(len(one.row.query) for one in groups[-1]) + len(lane.row.query) if groups else 0
        if groups and len(lane.row.query) * (len(groups[-1]) + 1) <= WASTE * total:
            groups[-1].append(lane)
        else:
            groups.append([lane])
    return [_plan(tuple(sorted(group, key=lambda one: one.slot)), kv, memory, device) for group in groups]


def _plan(lanes: tuple[Lane, ...], kv: KVStore | None, memory: Memory, device: torch.device) -> ForwardPlan:
    rows = [lane.row for lane in lanes]
    kv_rows = tuple(lane.slot for lane in lanes)
    proposals = [row.proposed for row in rows]
    query, width = max(len(row.query) for row in rows), max(map(len, proposals))
    query_positions = _table([row.query for row in rows], query, -1)
    if kv is None:
        slots = [np.zeros(0, dtype=np.int64)] * len(rows)
        n_keys, spare, key_positions = query, 0, query_positions
        own_key = [np.searchsorted(row.query, p) for row, p in zip(rows, proposals, strict=True)]
    else:
        slots = [kv.place(lane.slot, row.visible, row.query) for lane, row in zip(lanes, rows, strict=True)]
        n_keys, spare = int(kv.n_used[list(kv_rows)].max()), kv.capacity  # known once every row has its place
        key_positions = np.stack([kv.positions(slot, n_keys) for slot in kv_rows])
        own_key = [kv.slot_of[slot, p] for slot, p in zip(kv_rows, proposals, strict=True)]
    committed = [row.committed[at] & (at >= 0) for row, at in zip(rows, key_positions, strict=True)]
    inputs = np.array([lane.selection.inputs(lane.row) for lane in lanes], dtype=np.float64).reshape(len(rows), -1)
    up = _upload(
        {
            "tokens": _table([row.canvas[row.query] for row in rows], query, 0),
            "positions": _table([row.query for row in rows], query, 0),
            "row_index": np.array(kv_rows),
            "lengths": np.array([row.length for row in rows]),
            "slots": _table(slots, query, spare),
            "key_positions": key_positions,
            "key_committed": np.stack(committed),
            "query_positions": query_positions,
            "sources": np.concatenate(
                [i * query + np.searchsorted(row.query, row.sources()) for i, row in enumerate(rows)]
            ),
            "own": _table([np.searchsorted(row.query, p) for row, p in zip(rows, proposals, strict=True)], width, 0),
            "own_key": _table(own_key, width, 0),
            "scatter": np.concatenate([i * width + np.arange(len(p)) for i, p in enumerate(proposals)]),
            "proposed": _table(proposals, width, -1),
            "eligible": _table(
                [np.arange(len(p)) >= len(row.extra) for row, p in zip(rows, proposals, strict=True)], width, 0
            ),
            "force": np.array([lane.idle >= lane.selection.patience for lane in lanes]),
            "inputs": inputs.view(np.int64),
        },
        device,
    )
    for flag in ("key_committed", "eligible", "force"):
        up[flag] = up[flag].bool()
    up["inputs"] = up["inputs"].view(torch.float64)
    key_mask = (up["key_positions"] >= 0)[:, None, None, :] if (key_positions < 0).any() else None
    return ForwardPlan(lanes=lanes, kv=kv, memory=memory, kv_rows=kv_rows, n_keys=n_keys, key_mask=key_mask, **up)


def _table(rows: Sequence[np.ndarray], width: int, padding: int) -> np.ndarray:
    """Lay rows of different length out as [rows, width] int64."""
    table = np.full((len(rows), width), padding, dtype=np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


def _upload(arrays: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Copy integer arrays to the device in one transfer (floats travel as the bits of their float64)."""
    whole = [np.asarray(a, dtype=np.int64) for a in arrays.values()]
    flat = torch.from_numpy(np.concatenate([a.ravel() for a in whole])).to(device)
    parts = torch.split(flat, [a.size for a in whole])
    return {name: part.view(a.shape) for name, part, a in zip(arrays, parts, whole, strict=True)}
