"""Compiled steps replayed from CUDA graphs, one for each bucket of sizes: `runtime.compile: reduce-overhead`."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dllmkit.execution.compiled import Compiled
from dllmkit.execution.execution import Noise, Step
from dllmkit.inputs import assemble, flatten, views
from dllmkit.sizing import BUCKETS, Sizing

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dllmkit.execution.execution import Run
    from dllmkit.kv import KVStore
    from dllmkit.memory import Memory
    from dllmkit.phases import Phases
    from dllmkit.plan import ForwardPlan


@dataclass(slots=True, eq=False)
class Graphed:
    """The compiled step, captured for each bucket on buffers that stay where they are.

    A capture belongs to one decode, whose store and memory it reads, so that many prompts in one call are worth more than
    many calls. Devices without CUDA have no graphs: there the compiled step runs on the same buckets and buffers.
    """

    compiled: Compiled = field(default_factory=lambda: Compiled(sizing=BUCKETS))
    captured: int = 0
    _capturing: float = 0.0

    @property
    def sizing(self) -> Sizing:
        """Buckets: four sizes from one power of two to the next."""
        return self.compiled.sizing

    @property
    def preparing(self) -> float:
        """Seconds of compiling and capturing so far."""
        return self.compiled.preparing + self._capturing

    def start(self, step: Step, noise: Noise, kv: KVStore | None, memory: Memory) -> Run:
        """Begin a decode; the store takes its final size at once, for a capture holds its address."""
        compiled = self.compiled.compiled(step)
        if kv is not None:
            kv.reserve(self.sizing.size(kv.length))
        pool, known = Pool(memory.device), dict[Hashable, Captured]()

        def run(plan: ForwardPlan, phase: Phases) -> torch.Tensor:
            with phase("pack"):
                drawn = noise(plan)
                key = (plan.span, memory.width, *(table.shape for table in plan.tables.values()))
                one = known.get(key)
                if one is not None:
                    one.load(plan.tables, drawn)
            if one is None:
                started, compiling = time.perf_counter(), self.compiled.preparing
                one = known[key] = Captured.of(plan, kv, memory, drawn, compiled, pool)
                self.captured += 1
                self._capturing += time.perf_counter() - started - (self.compiled.preparing - compiling)
            with phase("step"):
                return one.replay()

        return run


class Pool:
    """The memory that all graphs of a decode share, and how a step is captured in it."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self.device = device
        self._handle: Any = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def capture(self, call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Return what repeats `call` on the same tensors; `call` may run a few times before."""
        import torch

        call()  # compiles; on a GPU the libraries make their handles and workspaces too
        if self._handle is None:
            return call
        aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            call()
        torch.cuda.current_stream(self.device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._handle):
            decided = call()

        def replay() -> torch.Tensor:
            graph.replay()
            return decided

        return replay


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """One bucket: its input buffers on both sides, and the step that reads them."""

    staging: torch.Tensor  # int64 [size of all tables], on the host
    tables: torch.Tensor  # the same on the device
    noise: torch.Tensor | None
    replay: Callable[[], torch.Tensor]

    @classmethod
    def of(
        cls,
        plan: ForwardPlan,
        kv: KVStore | None,
        memory: Memory,
        noise: torch.Tensor | None,
        compiled: Step,
        pool: Pool,
    ) -> Captured:
        """Make the buffers of a plan's bucket, fill them with it and capture the step."""
        import torch

        staging = torch.from_numpy(flatten(plan.tables))
        if pool.device.type == "cuda":
            staging = staging.pin_memory()
        buffer = staging.to(pool.device, copy=True)
        inputs = assemble(views(buffer, plan.tables), plan, kv, memory, noise)
        with memory.unchanged():  # a first call is made for its effects on the compiler alone
            replay = pool.capture(lambda: compiled(inputs))
        return cls(staging, buffer, noise, replay)

    def load(self, tables: dict[str, np.ndarray], noise: torch.Tensor | None) -> None:
        """Fill the buffers; the step before has been downloaded, so nobody reads them any more."""
        import torch

        self.staging.copy_(torch.from_numpy(flatten(tables)))
        self.tables.copy_(self.staging, non_blocking=True)
        if self.noise is not None and noise is not None:
            self.noise.copy_(noise)
