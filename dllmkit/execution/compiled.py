"""Steps compiled by torch.compile: `runtime.compile: default`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dllmkit.errors import DllmkitError
from dllmkit.execution.execution import Noise, Step
from dllmkit.inputs import prepare
from dllmkit.sizing import DYNAMIC, Sizing

if TYPE_CHECKING:
    import torch

    from dllmkit.execution.execution import Run
    from dllmkit.inputs import StepInputs
    from dllmkit.kv import KVStore
    from dllmkit.memory import Memory
    from dllmkit.phases import Phases
    from dllmkit.plan import ForwardPlan

LIMIT = 64  # graphs that one decoder may need before torch refuses to compile another


@dataclass(slots=True, eq=False)
class Compiled:
    """One full graph for all sizes of a forward: sizes are symbols in it, so that a new one costs nothing.

    A decoder needs few graphs: for one row and for several, for rows that lie at the store's start, elsewhere in a run or
    apart, and for numbers of logits that do not fit one chunk. `preparing` sums up the seconds of the calls that compiled.
    """

    backend: str = "inductor"
    sizing: Sizing = DYNAMIC
    preparing: float = 0.0
    graphs: int = 0
    _step: Step | None = None

    def start(self, step: Step, noise: Noise, kv: KVStore | None, memory: Memory) -> Run:
        """Begin a decode."""
        compiled = self.compiled(step)

        def run(plan: ForwardPlan, phase: Phases) -> torch.Tensor:
            with phase("pack"):
                inputs = prepare(plan, kv, memory, noise(plan))
            with phase("step"):
                return compiled(inputs)

        return run

    def compiled(self, step: Step) -> Step:
        """Return the step compiled; a decoder has one, so that the first it gives is kept."""
        if self._step is None:
            import torch
            from torch._dynamo.utils import counters
            from torch.fx.experimental import _config

            # `Any`: the overloads of torch 2.13 leave out the last two options
            make, patch = cast(Any, torch.compile), cast(Any, _config).patch
            whole = make(
                step, fullgraph=True, dynamic=True, backend=self.backend, recompile_limit=LIMIT, isolate_recompiles=True
            )

            def call(inputs: StepInputs) -> torch.Tensor:
                before, started = counters["stats"]["unique_graphs"], time.perf_counter()
                # equal sizes (query and keys of a refresh) must not become one symbol, or the next step compiles anew
                with patch(use_duck_shape=False), _explained():
                    decided: torch.Tensor = whole(inputs)
                if new := counters["stats"]["unique_graphs"] - before:
                    self.graphs += new
                    self.preparing += time.perf_counter() - started
                return decided

            self._step = call
        return self._step


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the compiler cannot do into a message that says what can be done about it."""
    from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException, Unsupported
    from torch._inductor.exc import InductorError

    try:
        yield
    except (TorchDynamoException, BackendCompilerFailed, Unsupported, InductorError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DllmkitError(
            f"the step cannot be compiled: {reason.strip()[:200]}. A plugin's `select` may not look at the values of its "
            "tensors, and compiling on a CPU needs a C++ compiler; runtime.compile=none decodes without"
        ) from error
