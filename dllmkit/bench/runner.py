"""Running recipes in turn over the same prompts: warm-up apart, then rounds of one pass each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dllmkit.bench.clock import StepLog, TimedForward, synchroniser
from dllmkit.bench.limits import Limits, Machine
from dllmkit.bench.work import Network

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder
    from dllmkit.result import Result


@dataclass(frozen=True, eq=False)
class Contender:
    """A recipe on its model, with the prompts as token ids."""

    name: str
    decoder: Decoder
    prompts: Sequence[Sequence[int]]

    @property
    def network(self) -> Network:
        """The sizes that its work is counted with."""
        return Network.of(self.decoder.model, self.decoder.settings.unmask_selector.signals)


@dataclass(frozen=True, eq=False)
class Pass:
    """One decode of all prompts: its wall time, its results, its forwards and the seconds of their parts.

    `preparing` are seconds of compiling and capturing, which `seconds` does not contain.
    """

    seconds: float
    results: list[Result]
    forwards: list[TimedForward]
    cpu_seconds: float  # processor time of the same pass, all threads together
    preparing: float = 0.0
    peak_bytes: int | None = None  # device memory at its highest, weights included, where the device counts it


@dataclass(eq=False)
class Measured:
    """The passes of one recipe.

    `phased` are those whose parts were timed: the timed passes themselves, or on a GPU, where that means to wait for the
    device after each part, one more in each round. `limits` are measured right after each of them.
    """

    contender: Contender
    warmup: list[Pass] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    phased: list[Pass] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)


def measure(
    contenders: Sequence[Contender], repeats: int, warmup: int, say: Callable[[str], None] = lambda line: None
) -> list[Measured]:
    """Run `warmup` passes of each recipe, then `repeats` rounds in which each runs once; `say` hears what is going on."""
    measured = [Measured(contender) for contender in contenders]
    machines = [Machine.of(contender.decoder.model) for contender in contenders]
    for one in measured:
        for number in range(warmup):
            say(f"warm-up {number + 1}/{warmup}: {one.contender.name}")
            one.warmup.append(decode(one.contender))
    for number in range(repeats):
        for one, machine in zip(measured, machines, strict=True):
            say(f"round {number + 1}/{repeats}: {one.contender.name}")
            one.passes.append(decode(one.contender))
            waits = synchroniser(machine.device) is not None
            one.phased.append(decode(one.contender, wait=True) if waits else one.passes[-1])
            say(f"round {number + 1}/{repeats}: {one.contender.name}, limit of the machine")
            one.limits.append(_limits(machine, one.contender.network, one.phased[-1]))
    return measured


def decode(contender: Contender, wait: bool = False) -> Pass:
    """Decode all prompts once; with `wait` the device is waited for after each part of a step."""
    import torch

    decoder = contender.decoder
    device = decoder.model.device
    sync = synchroniser(device)
    log = StepLog(sync if wait else None)
    gc.collect()
    if sync is not None:
        torch.cuda.reset_peak_memory_stats(device)
        sync()
    began, busy, prepared = time.perf_counter(), time.process_time(), decoder.execution.preparing
    results = decoder.decode(contender.prompts, observers=[log], phase=log)
    if sync is not None:
        sync()
    cpu_seconds, preparing = time.process_time() - busy, decoder.execution.preparing - prepared
    seconds = time.perf_counter() - began - preparing
    log.close(seconds)
    peak = None if sync is None else torch.cuda.max_memory_allocated(device)
    return Pass(seconds, results, log.forwards, cpu_seconds, preparing, peak)


def _limits(machine: Machine, network: Network, done: Pass) -> Limits:
    works = {forward.work for forward in done.forwards}
    products = {p for work in works for p in network.layer_products(work) + network.head_products(work)}
    return machine.measure(products)
