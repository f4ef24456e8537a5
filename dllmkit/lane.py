"""A lane: one row of the batch with the run-time objects of its policies, and the checks of what they decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from dllmkit.errors import PluginError
from dllmkit.kv import KVStore
from dllmkit.policy import Policy
from dllmkit.slots import Cache, Context, Schedule, Selection, Stop, Watch
from dllmkit.state import Positions, Row


@dataclass(slots=True, eq=False)
class Lane:
    """One sequence at work: its state, its policies, its place in the KV store, its random numbers."""

    row: Row
    slot: int
    policy: Policy
    schedule: Schedule
    context: Context
    cache: Cache
    selection: Selection
    watches: tuple[Watch, ...]
    generator: torch.Generator
    started: float
    idle: int = field(default=0)  # forwards in a row that committed nothing

    @classmethod
    def begin(cls, row: Row, slot: int, policy: Policy, generator: torch.Generator, now: float) -> Lane:
        """Start a sequence: every component makes its run-time object."""
        return cls(
            row, slot, policy,
            policy.block_scheduler.begin(row), policy.context_window.begin(row), policy.cache_policy.begin(row),
            policy.unmask_selector.begin(row), tuple(rule.begin(row) for rule in policy.stop_rules), generator, now,
        )  # fmt: skip

    def first_stop(self) -> Stop | None:
        """Ask the stop rules in order; the first verdict counts. It may not leave a mask before the part it fills."""
        row = self.row
        for rule, watch in zip(self.policy.stop_rules, self.watches, strict=True):
            stop = watch(row)
            if stop is None:
                continue
            if not row.prompt_length <= stop.fill_from <= row.first_mask:
                name = f"stop_rule {type(rule).__module__}.{type(rule).__name__}"
                least, most = row.prompt_length, row.first_mask
                raise PluginError(
                    f"{name}, row {row.request.index}, step {row.step}: wants to fill from position {stop.fill_from}, "
                    f"expected {least} (the generation's start) to {most} (the first mask)"
                )
            return stop
        return None

    def settle(self, kv: KVStore | None) -> None:
        """Check the step's sets against each other, and add to visible and query what the engine guarantees.

        Afterwards eligible ⊆ query ⊆ visible, the rows that predict eligible positions are in the query, and every visible
        position outside the query has a KV entry. A set that breaks its contract raises PluginError.
        """
        row, policy = self.row, self.policy
        row.eligible = self._eligible()
        row.extra = self._extra()
        sources = row.sources()
        if row.eligible[0] < row.request.shift:
            raise PluginError(f"{self._who('block_scheduler')}: position 0 has no row that predicts it")
        visible = self._positions(row.visible, "context_window")
        self._require(row.eligible, visible, "context_window", "left eligible positions out of the visible ones")
        visible[sources] = True
        query = self._positions(row.query, "cache_policy")
        self._require(np.flatnonzero(query), visible, "cache_policy", "wants positions recomputed that are not visible")
        self._require(row.eligible, query, "cache_policy", "left eligible positions out of the query")
        query[sources] = True
        row.visible = np.flatnonzero(visible)
        if kv is not None:
            query[row.visible[~kv.holds(self.slot, row.visible)]] = True
        elif not policy.cache_policy.reads_cache:
            self._require(
                row.visible,
                query,
                "cache_policy",
                "declares reads_cache = False but left visible positions out of the query",
            )
        row.query = np.flatnonzero(query)

    def _eligible(self) -> Positions:
        row, block = self.row, self.row.block
        if not (0 <= block.start < block.stop <= row.length):
            raise PluginError(
                f"{self._who('block_scheduler')}: block [{block.start}, {block.stop}) is not within [0, {row.length})"
            )
        eligible = row.masks(block.start, block.stop)
        if block.positions is not None:
            eligible = np.intersect1d(eligible, block.positions)
        narrow = getattr(self.cache, "narrow", None)
        if narrow is not None and len(eligible):
            allowed = np.zeros(row.length, dtype=bool)
            allowed[eligible] = True
            before, eligible = len(eligible), narrow(row, eligible)
            self._require(
                eligible, allowed, "cache_policy", "narrowed the eligible positions to some that are not eligible"
            )
            if len(eligible) < before:
                self.idle = self.selection.patience  # what a narrowed step may commit, it commits
        if not len(eligible):
            where = f"block [{block.start}, {block.stop})"
            raise PluginError(
                f"{self._who('block_scheduler')}: {where} holds no position that is still masked: no progress is possible"
            )
        return eligible

    def _extra(self) -> Positions:
        row = self.row
        extra = getattr(self.selection, "extra", None)
        if extra is None:
            return np.empty(0, dtype=np.int64)
        wanted = np.asarray(extra(row), dtype=np.int64)
        if len(wanted) and not row.request.as_released:
            raise PluginError(f"{self._who('unmask_selector')} asks for extra positions, which needs as_released: true")
        before = np.zeros(row.length, dtype=bool)
        before[: row.eligible[0]] = row.committed[: row.eligible[0]]
        self._require(
            wanted, before, "unmask_selector", "asks for extra positions that are not committed before the eligible"
        )
        return wanted

    def _positions(self, positions: Positions, slot: str) -> np.ndarray:
        """Turn positions into flags, bool [length]; refuse what is out of the canvas."""
        flags = np.zeros(self.row.length, dtype=bool)
        positions = np.asarray(positions, dtype=np.int64)
        outside = positions[(positions < 0) | (positions >= self.row.length)]
        if len(outside):
            raise PluginError(f"{self._who(slot)}: positions {_few(outside)} are outside [0, {self.row.length})")
        flags[positions] = True
        return flags

    def _require(self, positions: Positions, flags: np.ndarray, slot: str, fault: str) -> None:
        bad = positions[~flags[positions]]
        if len(bad):
            raise PluginError(f"{self._who(slot)} {fault}: {_few(bad)}")

    def _who(self, slot: str) -> str:
        component = getattr(self.policy, slot)
        name = f"{type(component).__module__}.{type(component).__name__}"
        return f"{slot} {name}, row {self.row.request.index}, step {self.row.step}"


def _few(positions: Iterable[int], most: int = 8) -> str:
    listed = [int(p) for p in positions]
    return ", ".join(map(str, listed[:most])) + (f" ... ({len(listed)} in all)" if len(listed) > most else "")
