"""The plan of one forward: the four nested sets of its rows, checked, padded and uploaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dllmkit.kv import KVStore
from dllmkit.lane import Lane

WASTE = 1.25  # rows share a forward while padding makes it at most this much larger


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPlan:
    """One forward: which tokens go in at which positions, where their keys go, and which rows give logits.

    `n` counts the eligible positions of all rows together: the language-model head runs on exactly these. Padding of the
    query repeats position 0 and writes its keys to the store's spare slot.
    """

    lanes: tuple[Lane, ...]
    kv: KVStore | None
    kv_rows: tuple[int, ...]
    n_keys: int
    tokens: torch.Tensor  # [rows, query]
    positions: torch.Tensor  # [rows, query]
    row_index: torch.Tensor  # [rows] row of each lane in the KV store
    slots: torch.Tensor  # [rows, query]
    key_mask: torch.Tensor | None  # [rows, 1, 1, keys] bool; None when every key counts
    key_positions: torch.Tensor  # [rows, keys], -1 where a slot is empty
    query_positions: torch.Tensor  # [rows, query], -1 in the padding
    sources: torch.Tensor  # [n] index into rows * query of the row that predicts each eligible position
    own: torch.Tensor  # [rows, width] index into query of each eligible position's own row
    scatter: torch.Tensor  # [n] index into rows * width
    eligible: torch.Tensor  # [rows, width] absolute positions, -1 in the padding
    force: torch.Tensor  # [rows] bool: commit the best mask if the selector chooses none
    inputs: torch.Tensor  # [rows, k] float64


def pack(lanes: Sequence[Lane], kv: KVStore | None, device: torch.device, shift: int) -> list[ForwardPlan]:
    """Make the forwards of one step: rows whose queries are of like length share one."""
    groups: list[list[Lane]] = []
    for lane in sorted(lanes, key=lambda one: len(one.row.query)):  # stable: equal lengths keep their order
        total = sum(len(one.row.query) for one in groups[-1]) + len(lane.row.query) if groups else 0
        if groups and len(lane.row.query) * (len(groups[-1]) + 1) <= WASTE * total:
            groups[-1].append(lane)
        else:
            groups.append([lane])
    return [_plan(tuple(sorted(group, key=lambda one: one.slot)), kv, device, shift) for group in groups]


def _plan(lanes: tuple[Lane, ...], kv: KVStore | None, device: torch.device, shift: int) -> ForwardPlan:
    rows = [lane.row for lane in lanes]
    n_rows, width, query = len(rows), max(len(r.eligible) for r in rows), max(len(r.query) for r in rows)
    tokens, positions, own = np.zeros((n_rows, query)), np.zeros((n_rows, query)), np.zeros((n_rows, width))
    query_positions, eligible = np.full((n_rows, query), -1), np.full((n_rows, width), -1)
    slots = np.zeros((n_rows, query))
    sources, scatter = [], []
    for i, (lane, row) in enumerate(zip(lanes, rows, strict=True)):
        n = len(row.query)
        tokens[i, :n], positions[i, :n], query_positions[i, :n] = row.canvas[row.query], row.query, row.query
        if kv is not None:
            slots[i, :n] = kv.place(lane.slot, row.visible, row.query)
        eligible[i, : len(row.eligible)] = row.eligible
        own[i, : len(row.eligible)] = np.searchsorted(row.query, row.eligible)
        sources.append(i * query + np.searchsorted(row.query, row.eligible - shift))
        scatter.append(i * width + np.arange(len(row.eligible)))
    if kv is None:
        n_keys, key_positions = query, query_positions
    else:
        n_keys = int(max(kv.n_used[lane.slot] for lane in lanes))
        key_positions = np.stack([kv.positions(lane.slot, n_keys) for lane in lanes])
        for i, row in enumerate(rows):
            slots[i, len(row.query) :] = kv.capacity  # the spare slot; known only after every row has its place
    inputs = np.array([lane.selection.inputs(lane.row) for lane in lanes], dtype=np.float64).reshape(n_rows, -1)
    force = np.array([lane.idle >= lane.selection.patience for lane in lanes])
    masked = bool((key_positions < 0).any())
    up = _upload(
        [tokens, positions, [lane.slot for lane in lanes], slots, key_positions, query_positions, np.concatenate(sources), own,
         np.concatenate(scatter), eligible, force, inputs.view(np.int64)], device
    )  # fmt: skip
    return ForwardPlan(
        lanes=lanes, kv=kv, kv_rows=tuple(lane.slot for lane in lanes), n_keys=n_keys,
        tokens=up[0], positions=up[1], row_index=up[2], slots=up[3],
        key_mask=(up[4] >= 0)[:, None, None, :] if masked else None,
        key_positions=up[4], query_positions=up[5], sources=up[6], own=up[7], scatter=up[8], eligible=up[9],
        force=up[10].bool(), inputs=up[11].view(torch.float64),
    )  # fmt: skip


def _upload(arrays: Sequence[np.ndarray | Sequence[int]], device: torch.device) -> list[torch.Tensor]:
    """Copy integer arrays to the device in one transfer; inputs travel as the bits of their float64."""
    whole = [np.asarray(a, dtype=np.int64) for a in arrays]
    flat = torch.from_numpy(np.concatenate([a.ravel() for a in whole])).to(device)
    parts = flat.split([a.size for a in whole])
    return [part.view(a.shape) for part, a in zip(parts, whole, strict=True)]
