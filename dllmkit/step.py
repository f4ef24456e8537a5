"""What happened in one step of one row: the record that observers and `stream` receive."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dllmkit.explanation import Details
from dllmkit.state import Positions, Request


def _none() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """One forward of one row, after its commit; positions are absolute and ascending.

    `tokens` [n] and `confidence` [n] belong to `chosen`. `refresh` says that everything visible was recomputed, `forced` that
    the selector chose nothing and the engine committed the best mask. `canvas` [length] is a copy taken after the commit,
    before any stop rule filled the tail. `details` are there only if an observer asked for them.
    """

    request: Request
    step: int  # from 0
    block: tuple[int, int]  # start, stop
    refresh: bool
    visible: Positions
    query: Positions
    eligible: Positions
    chosen: Positions
    tokens: np.ndarray
    confidence: np.ndarray
    canvas: np.ndarray
    finished: bool
    stop_reason: str | None  # set in the last step: "complete", or what the stop rule said
    forced: bool = False
    overwritten: Positions = field(default_factory=_none)  # committed positions that a released fault wrote over
    overwriting: np.ndarray = field(default_factory=_none)  # with these tokens
    details: Details | None = None

    @property
    def row(self) -> int:
        """Index of the request."""
        return self.request.index

    @property
    def prompt_length(self) -> int:
        """Positions of the prompt."""
        return len(self.request.prompt)

    @property
    def mask_id(self) -> int:
        """The token of undecided positions."""
        return self.request.mask_id
