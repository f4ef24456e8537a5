"""Host state of one sequence: its canvas, what is committed, and where the current step stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
"""A sorted array of distinct absolute positions, shape [n]."""

UNCOMMITTED = -1
"""`commit_step` of a position that no step has committed (still masked, or filled in by a stop rule)."""


@dataclass(frozen=True, slots=True)
class Span:
    """The positions `start` (included) to `stop` (excluded)."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Block:
    """What a block scheduler returns: the span whose masks may be committed in this step.

    `positions` narrows the span to chosen positions, for schedulers whose eligible set has gaps; without it every mask in
    the span is eligible. `stage` is the span that a per-block schedule (a quota of tokens per step) divides among its
    steps; it is the block itself unless the block slides, when it is the whole generation.
    """

    start: int
    stop: int
    stage: Span | None = None
    positions: Positions | None = None

    @property
    def schedule_span(self) -> Span:
        """The span that quota-like selectors spread their steps over."""
        return self.stage if self.stage is not None else Span(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to decode, with everything that is fixed for its whole run."""

    index: int
    prompt: tuple[int, ...]
    gen_length: int
    mask_id: int
    eos_ids: tuple[int, ...] = ()
    shift: int = 0
    as_released: bool = False
    seed: int = 0

    @property
    def length(self) -> int:
        """Positions of the canvas: prompt and generation."""
        return len(self.prompt) + self.gen_length


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(slots=True, eq=False)
class Row:
    """The state of one sequence, as plugins see it: read it freely, only the engine writes it.

    `canvas` [length] int64 holds tokens and `mask_id`; `committed` [length] bool is the truth about which positions are
    decided (a prompt may contain `[MASK]`). `block`, `refresh`, `visible`, `query` and `eligible` belong to the step that
    is being prepared, in this order.
    """

    request: Request
    canvas: np.ndarray = field(init=False)
    committed: np.ndarray = field(init=False)
    commit_step: np.ndarray = field(init=False)  # [gen_length] int64, UNCOMMITTED where no step committed
    confidence: np.ndarray = field(init=False)  # [gen_length] float64, NaN where no step committed
    first_mask: int = field(init=False)
    n_committed: int = field(init=False, default=0)
    nfe: int = field(init=False, default=0)
    query_lengths: list[int] = field(init=False, default_factory=list)
    visible_lengths: list[int] = field(init=False, default_factory=list)
    last_commit: Positions = field(init=False)
    block: Block = field(init=False)
    refresh: bool = field(init=False, default=True)
    visible: Positions = field(init=False)
    query: Positions = field(init=False)
    eligible: Positions = field(init=False)
    extra: Positions = field(init=False)  # committed positions at which a released selector wants proposals
    finished: bool = field(init=False, default=False)
    stop_reason: str = field(init=False, default="complete")
    seconds: float = field(init=False, default=0.0)  # wall time since the row began

    def __post_init__(self) -> None:
        r = self.request
        canvas = np.full(r.length, r.mask_id, dtype=np.int64)
        canvas[: len(r.prompt)] = r.prompt
        committed = np.zeros(r.length, dtype=bool)
        committed[: len(r.prompt)] = True
        self.canvas, self.committed = _read_only(canvas), _read_only(committed)
        self.commit_step = np.full(r.gen_length, UNCOMMITTED, dtype=np.int64)
        self.confidence = np.full(r.gen_length, np.nan)
        self.first_mask = len(r.prompt)
        self.last_commit = self.extra = np.empty(0, dtype=np.int64)

    @property
    def proposed(self) -> Positions:
        """Where the model proposes in this step: the extra positions, then the eligible ones."""
        return np.concatenate([self.extra, self.eligible]) if len(self.extra) else self.eligible

    @property
    def prompt_length(self) -> int:
        """Positions of the prompt; they are never written."""
        return len(self.request.prompt)

    @property
    def gen_length(self) -> int:
        """Positions to generate."""
        return self.request.gen_length

    @property
    def length(self) -> int:
        """Positions of the canvas: prompt and generation."""
        return self.request.length

    @property
    def step(self) -> int:
        """Number of the step being prepared, from 0."""
        return self.nfe

    def sources(self) -> Positions:
        """The row that predicts each proposed position; position 0 of a shifted model has only its own (as released)."""
        return np.maximum(self.proposed - self.request.shift, 0)

    def masks(self, start: int, stop: int) -> Positions:
        """The uncommitted positions in [start, stop)."""
        return np.flatnonzero(~self.committed[start:stop]) + start

    def commit(self, positions: Positions, tokens: np.ndarray, confidence: np.ndarray) -> None:
        """Write tokens at uncommitted positions: the only write to the canvas while decoding (engine only)."""
        if self.committed[positions].any():
            raise AssertionError(f"positions {positions[self.committed[positions]]} are committed already")
        self._write(positions, tokens)
        generated = positions - self.prompt_length
        self.commit_step[generated] = self.step
        self.confidence[generated] = confidence
        self.n_committed += len(positions)
        self.last_commit = positions
        rest = np.flatnonzero(~self.committed[self.first_mask :])
        self.first_mask = self.first_mask + int(rest[0]) if len(rest) else self.length

    def overwrite(self, positions: Positions, tokens: np.ndarray) -> None:
        """Replace committed tokens, as a released fault does; nothing is counted (engine only)."""
        self._write(positions, tokens)

    def fill(self, start: int, token: int, reason: str) -> None:
        """Fill [start, length) with `token` and finish: what a stop rule asks for (engine only)."""
        tail = np.arange(start, self.length)
        self._write(tail, np.full(len(tail), token))
        self.commit_step[tail - self.prompt_length] = UNCOMMITTED
        self.confidence[tail - self.prompt_length] = np.nan
        self.first_mask, self.finished, self.stop_reason = self.length, True, reason

    def _write(self, positions: Positions, tokens: np.ndarray) -> None:
        for array, value in ((self.canvas, tokens), (self.committed, True)):
            array.flags.writeable = True
            array[positions] = value
            array.flags.writeable = False
