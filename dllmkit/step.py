"""What happened in one step of one row: the record that observers and `stream` receive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dllmkit.state import Positions


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """One forward of one row, after its commit; positions are absolute and ascending.

    `tokens` [n] and `confidence` [n] belong to `chosen`. `refresh` says that everything visible was recomputed. `canvas`
    [length] is a copy taken after the commit, before any stop rule filled the tail.
    """

    row: int  # index of the request
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
    prompt_length: int
    mask_id: int
    finished: bool
    stop_reason: str | None  # set in the last step: "complete", or what the stop rule said
