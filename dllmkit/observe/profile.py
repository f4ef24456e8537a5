"""torch.profiler traces with the parts of a step as named ranges, for TensorBoard and Perfetto."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dllmkit.errors import DllmkitError
from dllmkit.phases import NAMES, unwatched

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder, Prompt

STEPS = 32
"""Steps of the loop in a trace, unless told: a step of a large model is thousands of events."""


@dataclass(frozen=True)
class Range:
    """A named range: how often it was entered, and the seconds spent in it (on the host, its waiting included)."""

    name: str
    count: int
    seconds: float


@dataclass(frozen=True)
class Profile:
    """A trace that was written: its file, and its ranges in the order of the loop."""

    file: Path
    steps: int
    ranges: tuple[Range, ...]


class _Enough(Exception):
    """As many steps as were asked for are in the trace."""


@dataclass(slots=True, eq=False)
class _Ranges:
    """Phases that name ranges of the profiler, and tell it where a step begins."""

    open_range: Callable[[str], AbstractContextManager[object]]
    next_step: Callable[[], None]
    most: int
    steps: int = field(default=0)

    def __call__(self, name: str) -> AbstractContextManager[object]:
        if name == NAMES[0]:
            if self.steps == self.most > 0:
                raise _Enough
            if self.steps:
                self.next_step()
            self.steps += 1
        return self.open_range(name)


def record(
    decoder: Decoder, prompts: Sequence[Prompt], folder: Path, *, chat: bool = False, steps: int = STEPS
) -> Profile:
    """Decode prompts under the profiler and write a trace into a folder, which TensorBoard shows as one run.

    The first `steps` steps are traced, all of them if it is 0; they are run once before, so that what happens only once
    (compilation, allocation) is not in the trace. Raises DllmkitError if the folder cannot be written.
    """
    import torch
    from torch import profiler

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DllmkitError(f"{folder} cannot be written: {error.strerror}") from error
    _run(decoder, prompts, chat, _Ranges(unwatched, lambda: None, steps))
    activities = [profiler.ProfilerActivity.CPU]
    if decoder.model.device.type == "cuda":
        activities.append(profiler.ProfilerActivity.CUDA)
        torch.cuda.synchronize()
    before = set(folder.iterdir())
    write = profiler.tensorboard_trace_handler(str(folder), worker_name=_worker(decoder), use_gzip=True)
    always = profiler.ProfilerAction.RECORD  # a schedule, so that the steps are named in the trace too
    try:
        with profiler.profile(
            activities=activities,
            schedule=lambda step: always,
            on_trace_ready=write,
            record_shapes=True,
            acc_events=True,
        ) as traced:
            ranges = _Ranges(profiler.record_function, traced.step, steps)
            _run(decoder, prompts, chat, ranges)
    except OSError as error:
        raise DllmkitError(f"{folder} cannot be written: {error.strerror}") from error
    (file,) = sorted(set(folder.iterdir()) - before)
    found = {event.key: event for event in traced.key_averages() if event.key in NAMES}
    times = (Range(n, found[n].count, found[n].cpu_time_total / 1e6) for n in NAMES if n in found)
    return Profile(file, ranges.steps, tuple(times))


def _run(decoder: Decoder, prompts: Sequence[Prompt], chat: bool, phase: _Ranges) -> None:
    with suppress(_Enough):
        decoder.decode(prompts, chat=chat, phase=phase)


def _worker(decoder: Decoder) -> str:
    """A name for the file: dots and slashes would split it wrongly."""
    return re.sub(r"[^\w+-]+", "_", decoder.recipe.source).strip("_") or "recipe"
