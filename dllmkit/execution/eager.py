"""Steps that run as Python runs them: `runtime.compile: none`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.execution.execution import Noise, Step
from dllmkit.inputs import prepare
from dllmkit.sizing import EAGER, Sizing

if TYPE_CHECKING:
    import torch

    from dllmkit.execution.execution import Run
    from dllmkit.kv import KVStore
    from dllmkit.memory import Memory
    from dllmkit.phases import Phases
    from dllmkit.plan import ForwardPlan


@dataclass(frozen=True)
class Eager:
    """No preparation, no padding beyond what rows of one forward need."""

    sizing: Sizing = EAGER
    preparing: float = 0.0

    def start(self, step: Step, noise: Noise, kv: KVStore | None, memory: Memory) -> Run:
        """Begin a decode."""

        def run(plan: ForwardPlan, phase: Phases) -> torch.Tensor:
            with phase("pack"):
                inputs = prepare(plan, kv, memory, noise(plan))
            return step(inputs, phase)

        return run
