"""A clock for the parts of a step, and the log of what each forward was and took."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from dllmkit.bench.work import ForwardWork, RowWork
from dllmkit.phases import NAMES

if TYPE_CHECKING:
    import torch

    from dllmkit.result import Result
    from dllmkit.step import StepRecord

HOST = ("schedule", "context", "cache", "pack", "commit", "other")
"""Parts of a step that run on the host; `other` is what no part covers: the loop itself and its observers."""

DEVICE = ("forward", "propose", "select", "step")
"""Parts that run on the device; a compiled step has only the last."""

_OWN = (*DEVICE, "commit")  # of one forward; the others are of all forwards of a step
_FIRST = ("forward", "step")  # whichever comes, a forward begins


@dataclass(slots=True, eq=False)
class TimedForward:
    """A forward with the seconds of its parts; what several forwards of a step share is divided among them."""

    rows: list[RowWork] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> ForwardWork:
        """The sizes of its rows."""
        return ForwardWork(tuple(self.rows))

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())


@dataclass(slots=True, eq=False)
class StepLog:
    """Observer and phases of one decode: pass it as both.

    `sync` waits for the device, so that a part's time is its own; without it a part on a GPU takes only as long as it
    takes to launch.
    """

    sync: Callable[[], object] | None = None
    forwards: list[TimedForward] = field(default_factory=list)
    _shared: dict[str, float] = field(default_factory=dict)
    _open: int = 0  # where the forwards of the current step begin

    def __call__(self, name: str) -> AbstractContextManager[object]:
        """Begin a part of a step."""
        if name == NAMES[0]:
            self._end_step()
        if name in _FIRST:
            self.forwards.append(TimedForward())
        return _Part(self.forwards[-1].seconds if name in _OWN else self._shared, name, self.sync)

    def on_step(self, step: StepRecord) -> None:
        """Note the sizes of a row of the current forward."""
        self.forwards[-1].rows.append(RowWork(len(step.query), len(step.visible), len(step.eligible), _seen(step)))

    def on_result(self, result: Result) -> None:
        """Nothing to note."""

    def close(self, seconds: float) -> None:
        """End the decode, which took so long: what no part covers is divided among all forwards as `other`."""
        self._end_step()
        other = max(0.0, seconds - sum(forward.total for forward in self.forwards))
        for forward in self.forwards:
            forward.seconds["other"] = other / len(self.forwards)

    def _end_step(self) -> None:
        """Divide what the forwards of a step share."""
        forwards = self.forwards[self._open :]
        for forward in forwards:
            for name, seconds in self._shared.items():
                forward.seconds[name] = seconds / len(forwards)
        self._shared, self._open = {}, len(self.forwards)


class _Part:
    def __init__(self, into: dict[str, float], name: str, sync: Callable[[], object] | None) -> None:
        self._into, self._name, self._sync = into, name, sync

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sync is not None:
            self._sync()
        self._into[self._name] = self._into.get(self._name, 0.0) + time.perf_counter() - self._began


def synchroniser(device: torch.device) -> Callable[[], object] | None:
    """Return what waits for a device, or None where calls return when they are done."""
    import torch

    return torch.cuda.synchronize if device.type == "cuda" else None


def _seen(step: StepRecord) -> int:
    """Count the rows of a step that predict positions committed before it."""
    committed = step.canvas != step.mask_id
    committed[: step.prompt_length] = True  # a prompt may contain the mask token
    committed[step.chosen] = False
    predicted = step.query + step.request.shift
    return int(committed[predicted[predicted < len(committed)]].sum())
