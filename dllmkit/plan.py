"""The plan of one forward, on the host: the four nested sets of its rows as tables, padded to common sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dllmkit.kv import KVStore
from dllmkit.lane import Lane
from dllmkit.sizing import EAGER, Sizing

WASTE = 1.25  # rows share a forward while padding makes it at most this much larger


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPlan:
    """One forward: which rows take part, where they lie, and the tables of `StepInputs` that are uploaded for it."""

    lanes: tuple[Lane, ...]
    tables: dict[str, np.ndarray]  # int64; the names and shapes of StepInputs
    span: tuple[int, int] | None  # the rows of the store from `start` to `stop`, if they are neighbours
    masked: bool
    dense: bool

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Rows, query, keys and width."""
        (rows, query), keys = self.tables["tokens"].shape, self.tables["key_positions"].shape[1]
        return rows, query, keys, self.tables["proposed"].shape[1]


def pack(
    lanes: Sequence[Lane], kv: KVStore | None, sizing: Sizing = EAGER, places: int | None = None, observed: bool = False
) -> list[ForwardPlan]:
    """Make the forwards of one step: rows whose queries are of like length share one.

    `places` is the number of rows that store and memory have; a forward is padded with rows only as far as these go. With
    `observed`, the plans say which rows predict committed positions.
    """
    slots: dict[int, np.ndarray] = {}
    if kv is not None:  # every row has its place, and the store its size, before the first forward is laid out
        slots = {lane.slot: kv.place(lane.slot, lane.row.visible, lane.row.query) for lane in lanes}
        kv.reserve(sizing.size(max(int(kv.n_used[slot]) for slot in slots)))
    groups: list[list[Lane]] = []
    for lane in sorted(lanes, key=lambda one: len(one.row.query)):  # stable: equal lengths keep their order
        joined = [*groups[-1], lane] if groups else []
        if joined and _work(joined, sizing) <= WASTE * sum(len(one.row.query) for one in joined):
            groups[-1].append(lane)
        else:
            groups.append([lane])
    return [_plan(tuple(sorted(g, key=lambda one: one.slot)), kv, slots, sizing, places, observed) for g in groups]


def _work(group: Sequence[Lane], sizing: Sizing) -> int:
    """Query positions of a group's forward, padding included."""
    return sizing.rows(len(group)) * sizing.size(max(len(lane.row.query) for lane in group))


def _plan(
    lanes: tuple[Lane, ...],
    kv: KVStore | None,
    slots: dict[int, np.ndarray],
    sizing: Sizing,
    places: int | None,
    observed: bool,
) -> ForwardPlan:
    rows, at = [lane.row for lane in lanes], [lane.slot for lane in lanes]
    first, n = at[0], len(lanes)
    neighbours = at[-1] - first == n - 1
    if neighbours and first + sizing.rows(n) <= (places or n):
        n = sizing.rows(n)
    proposals = [row.proposed for row in rows]
    query, width = sizing.size(max(len(row.query) for row in rows)), sizing.size(max(map(len, proposals)))
    query_positions = _table([row.query for row in rows], (n, query), -1)
    if kv is None:
        key_positions = query_positions.copy()
        own_key = [np.searchsorted(row.query, p) for row, p in zip(rows, proposals, strict=True)]
    else:
        keys = sizing.size(int(kv.n_used[at].max()))
        key_positions = _table([kv.positions(slot, keys) for slot in at], (n, keys), -1)
        own_key = [kv.slot_of[slot, p] for slot, p in zip(at, proposals, strict=True)]
    committed = np.zeros(key_positions.shape, dtype=np.int64)
    for i, row in enumerate(rows):
        committed[i] = row.committed[key_positions[i]] & (key_positions[i] >= 0)
    key_positions[len(rows) :, 0] = 0  # a padding row attends to something: a softmax over nothing is NaN
    masks = [np.arange(len(p)) >= len(row.extra) for row, p in zip(rows, proposals, strict=True)]
    watched = _watched(lanes, query, sizing) if observed else {}
    total = sum(map(len, proposals))
    heads = sizing.size(total)
    sources = [i * query + np.searchsorted(row.query, row.sources()) for i, row in enumerate(rows)]
    inputs = np.array([lane.selection.inputs(lane.row) for lane in lanes], dtype=np.float64).reshape(len(rows), -1)
    tables = {
        "tokens": _table([row.canvas[row.query] for row in rows], (n, query), 0),
        "positions": np.maximum(query_positions, 0),
        "rows": np.arange(n) if neighbours else np.array(at),
        "slots": _table([slots[slot] for slot in at if slots], (n, query), kv.capacity if kv is not None else 0),
        "key_positions": key_positions,
        "key_committed": committed,
        "query_positions": query_positions,
        "sources": _column(np.concatenate(sources), heads),
        "scatter": _column(np.concatenate([i * width + np.arange(len(p)) for i, p in enumerate(proposals)]), heads, n * width),
        "own": _table([np.searchsorted(row.query, p) for row, p in zip(rows, proposals, strict=True)], (n, width), 0),
        "own_key": _table(own_key, (n, width), 0),
        "proposed": _table(proposals, (n, width), -1),
        "eligible": _table(masks, (n, width), 0),
        "force": _column([lane.idle >= lane.selection.patience for lane in lanes], n),
        "inputs": np.pad(inputs, ((0, n - len(rows)), (0, 0))).view(np.int64),  # floats travel as their bits
        **watched,
    }  # fmt: skip
    span = (first, first + n) if neighbours else None
    if sizing.uniform:
        return ForwardPlan(lanes, tables, span, masked=True, dense=False)
    return ForwardPlan(lanes, tables, span, bool((key_positions < 0).any()), total == n * width)


def _watched(lanes: Sequence[Lane], query: int, sizing: Sizing) -> dict[str, np.ndarray]:
    """Find the rows that predict committed positions: where they are, and whose confidence they tell."""
    rows, tables = [lane.row for lane in lanes], [[], [], []]  # type: ignore[var-annotated]
    for i, row in enumerate(rows):
        shift = row.request.shift
        inside = row.query[row.query + shift < row.length]
        inside = inside[row.committed[inside + shift]]
        positions = inside + shift
        if shift and row.request.as_released and row.query[0] == 0:  # its shift leaves row 0 its own prediction
            inside, positions = np.append(inside, 0), np.append(positions, 0)
        tables[0].append(i * query + np.searchsorted(row.query, inside))
        tables[1].append(np.full(len(positions), i))
        tables[2].append(positions)
    n = sizing.size(sum(map(len, tables[0])))
    columns = [np.concatenate(parts) for parts in tables]
    paddings = (0, 0, -1)  # -1: the spare column of the memory
    names = ("seen", "seen_row", "seen_position")
    return {name: _column(c, n, padding) for name, c, padding in zip(names, columns, paddings, strict=True)}


def _table(rows: Sequence[np.ndarray], shape: tuple[int, int], padding: int) -> np.ndarray:
    """Lay rows of different length out as a table of int64."""
    table = np.full(shape, padding, dtype=np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


def _column(values: Sequence[int] | np.ndarray, n: int, padding: int = 0) -> np.ndarray:
    """Lay values out as [n] int64."""
    return _table([np.asarray(values)], (1, n), padding).ravel()
