"""What an execution mode is: how large its forwards are, and how one runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from dllmkit.kv import KVStore
    from dllmkit.memory import Memory
    from dllmkit.phases import Phases
    from dllmkit.plan import ForwardPlan
    from dllmkit.sizing import Sizing

Step = Callable[..., "torch.Tensor"]
"""`loop.denoise` with its model, proposer and selector: called with StepInputs and, when eager, with the phases."""

Noise = Callable[["ForwardPlan"], "torch.Tensor | None"]
"""Draws the random numbers of a forward, each row's from its own generator."""


class Run(Protocol):
    """The device's part of the steps of one decode."""

    def __call__(self, plan: ForwardPlan, phase: Phases) -> torch.Tensor:
        """Run one forward of a plan; return what is decided, [3, rows, width], on the device."""
        ...


class Execution(Protocol):
    """A way to run steps; a decoder keeps one, with whatever it has compiled."""

    @property
    def sizing(self) -> Sizing:
        """How the sizes of forwards are rounded."""
        ...

    @property
    def preparing(self) -> float:
        """Seconds spent so far on the first call of each kind of step: compiling, capturing."""
        ...

    def start(self, step: Step, noise: Noise, kv: KVStore | None, memory: Memory) -> Run:
        """Begin a decode on a store and a memory of its own."""
        ...
