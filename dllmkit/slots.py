"""The hook points, as protocols: what a plugin implements, and what the engine promises to it.

Components are values: frozen dataclasses of parameters. `begin(row)` makes the run-time object of one sequence, which may
keep state; nothing may be kept on the component itself. Scheduler, context window, cache policy and stop rules decide on
the host, one row at a time. A selector decides on the device for all rows of a step and may not reduce over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from dllmkit.proposal import Proposal
    from dllmkit.result import Result
    from dllmkit.signals import Signals
    from dllmkit.state import Block, Positions, Row
    from dllmkit.step import StepRecord


class Schedule(Protocol):
    """A block scheduler at work on one row."""

    def __call__(self, row: Row) -> Block:
        """Return the block of this step; it must hold at least one uncommitted position."""
        ...


@runtime_checkable
class BlockScheduler(Protocol):
    """Decides which masks may be committed now (*eligible*)."""

    def begin(self, row: Row) -> Schedule:
        """Start a sequence."""
        ...


class Context(Protocol):
    """A context window at work on one row."""

    def __call__(self, row: Row) -> Positions:
        """Return the visible positions, sorted; may read `row.block` and `row.refresh`."""
        ...


@runtime_checkable
class ContextWindow(Protocol):
    """Decides what the model may attend to (*visible*)."""

    def begin(self, row: Row) -> Context:
        """Start a sequence."""
        ...


class Cache(Protocol):
    """A cache policy at work on one row.

    May also have `narrow(row) -> Positions`: the eligible positions that this step may commit, when a released loop
    commits fewer after a refresh than the block scheduler allows.
    """

    def refresh_due(self, row: Row) -> bool:
        """Say, knowing `row.block`, whether everything visible is recomputed in this step."""
        ...

    def query(self, row: Row) -> Positions:
        """Return the positions to recompute, out of `row.visible`; the rest is read from the KV store."""
        ...


def first_at_a_refresh(row: Row, eligible: Positions) -> Positions:
    """Return what a cache's `narrow` allows: everything, but the first mask alone at a shifted model's refresh as released.

    The later queries of the released loops begin at the block, whose first position then has no row that predicts it. The
    engine adds that row, so by default every step commits what the selector chooses.
    """
    forced = row.refresh and row.request.as_released and row.request.shift > 0
    return eligible[:1] if forced else eligible


@runtime_checkable
class CachePolicy(Protocol):
    """Decides which visible positions are recomputed (*query*)."""

    @property
    def reads_cache(self) -> bool:
        """False when every query is everything visible: then no KV store is allocated."""
        ...

    def begin(self, row: Row) -> Cache:
        """Start a sequence."""
        ...


class Selection(Protocol):
    """The host side of an unmask selector at work on one row.

    May also have `extra(row) -> Positions`: committed positions before the eligible ones at which the model proposes too,
    and which `select` may overwrite. Only for reproducing a released fault; refused unless the recipe is `as_released`.
    """

    @property
    def patience(self) -> int:
        """Forwards in a row that may commit nothing (0, but for released schedules with idle steps).

        After that many the engine commits the most confident mask.
        """
        ...

    def inputs(self, row: Row) -> Sequence[float]:
        """Return this step's numbers for the row (a quota, a threshold), found in `proposal.inputs` of `select`."""
        ...


class Constant:
    """A selection whose numbers are the same in every step."""

    patience = 0

    def __init__(self, *numbers: float) -> None:
        self._numbers = numbers

    def inputs(self, row: Row) -> Sequence[float]:
        """Return the numbers."""
        return self._numbers


@runtime_checkable
class UnmaskSelector(Protocol):
    """Decides which eligible masks become tokens (*chosen*).

    May also have `explain(proposal) -> Explanation` (dllmkit.explanation): the reasons for its choice, for people to see. It
    is called after `select`, and only when an observer asks for details.
    """

    @property
    def signals(self) -> Signals:
        """What `select` reads besides tokens and confidences; the engine computes this and nothing else."""
        ...

    def begin(self, row: Row) -> Selection:
        """Start a sequence."""
        ...

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Return the chosen columns, bool [rows, width], within `proposal.eligible`, without a reduction over rows."""
        ...


class Stop(NamedTuple):
    """A stop rule's verdict: the row is finished, and [`fill_from`, length) becomes `token`."""

    fill_from: int
    token: int
    reason: str


class Watch(Protocol):
    """A stop rule at work on one row."""

    def __call__(self, row: Row) -> Stop | None:
        """Look at the row after a commit; `row.block` is still the block of that step."""
        ...


@runtime_checkable
class StopRule(Protocol):
    """Ends a row before all its masks are committed."""

    def begin(self, row: Row) -> Watch:
        """Start a sequence."""
        ...


class Observer(Protocol):
    """Watches a decode without changing it: trace writer, live view, metrics.

    May also have `details`, a bool: then step records carry `details` (dllmkit.explanation).
    """

    def on_step(self, step: StepRecord) -> None:
        """Called once per row and forward, after the commit."""
        ...

    def on_result(self, result: Result) -> None:
        """Called once per row, when it is finished."""
        ...
