"""How much memory a decode needs, found out before it starts: its largest steps are run on tensors without storage."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dllmkit.errors import DllmkitError
from dllmkit.inputs import prepare
from dllmkit.models.attention import NAME
from dllmkit.models.memory import free_bytes, human

if TYPE_CHECKING:
    from dllmkit.execution.execution import Execution
    from dllmkit.kv import KVStore
    from dllmkit.lane import Lane
    from dllmkit.models.model import DiffusionModel
    from dllmkit.plan import ForwardPlan
    from dllmkit.policy import Policy
    from dllmkit.propose import Proposer
    from dllmkit.state import Request

LAST = 64  # positions still masked at the later of the two moments looked at
SURE = 0.25  # a rough bound below this share of the free memory needs no closer look


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes beyond the weights: what is kept between steps, and what the largest step needs on top."""

    rows: int
    length: int
    store: int  # keys and values
    memory: int  # observed confidences, attention rows, distributions
    step: int  # inputs and activations of the largest forward, its logits included

    @property
    def total(self) -> int:
        """Bytes needed at the peak."""
        return self.store + self.memory + self.step

    def __str__(self) -> str:
        parts = f"KV store {human(self.store)} + memory {human(self.memory)} + largest step {human(self.step)}"
        return f"{self.rows} rows of up to {self.length} positions: {parts} = {human(self.total)}"


def check(
    model: DiffusionModel,
    requests: Sequence[Request],
    policy: Policy,
    proposer: Proposer,
    batch_size: int,
    execution: Execution,
) -> None:
    """Raise DllmkitError, with the arithmetic, if a decode cannot fit into what the device has free."""
    free = free_bytes(model.device)
    if free is None or not requests or _rough(model, requests, batch_size) < SURE * free:
        return
    needed = footprint(model, requests, policy, proposer, batch_size, execution)
    if needed.total > free:
        raise DllmkitError(
            f"not enough memory on {model.device}: {needed}, but {human(free)} are free: try a smaller "
            "runtime.batch_size or decode.gen_length"
        )


def _rough(model: DiffusionModel, requests: Sequence[Request], batch_size: int) -> float:
    """A bound that is far too high: every tensor of a layer at once, and attention rows of all heads."""
    config, length = model.architecture.config, max(r.length for r in requests)
    positions, size = length * min(batch_size, len(requests)), torch.finfo(model.dtype).bits // 8
    layer = positions * (8 * config.hidden_size + 4 * config.intermediate_size) * max(size, 4)
    kept = positions * (2 * model.n_layers * config.hidden_size * size + 8 * length)
    logits = positions * model.vocabulary * 8 * 4
    return float(layer + kept + logits + positions * length * config.num_attention_heads * 8)


def footprint(
    model: DiffusionModel,
    requests: Sequence[Request],
    policy: Policy,
    proposer: Proposer,
    batch_size: int,
    execution: Execution,
) -> Footprint:
    """Predict the peak of a decode: its longest requests together, at their first step and at their last block."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from dllmkit.loop import Batch, denoise
    from dllmkit.plan import pack

    observed = proposer.signals.observed
    longest = sorted(requests, key=lambda request: -request.length)[:batch_size]
    store = memory = step = 0
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True):
        empty = _without_storage(model)
        for late in (False, True):
            batch = Batch.of(empty, longest, policy, batch_size, execution)
            batch.device = torch.device("cpu")  # of generators, which nobody asks for numbers
            batch.fill()
            for lane in batch.lanes:
                _decide(lane, batch.kv, late)
            for plan in pack(batch.lanes, batch.kv, execution.sizing, batch.places, observed):
                with _Peak() as peak:
                    inputs = prepare(plan, batch.kv, batch.memory, _noise(plan, proposer, empty))
                    denoise(empty, proposer, policy.unmask_selector, inputs)
                step = max(step, peak.most)
                del inputs
            store = max(store, batch.kv.nbytes if batch.kv is not None else 0)
            memory = max(memory, batch.memory.nbytes)
    return Footprint(len(longest), longest[0].length, store, memory, step)


def _without_storage(model: DiffusionModel) -> DiffusionModel:
    """Return the same model with weights that take no memory; called under fake tensors."""
    architecture = model.architecture
    usual = torch.get_default_dtype()
    torch.set_default_dtype(model.dtype)
    try:
        with model.device:
            network = architecture.model_class(architecture.config)
    finally:
        torch.set_default_dtype(usual)
    network.config._attn_implementation = NAME
    return replace(model, network=network)


def _decide(lane: Lane, kv: KVStore | None, late: bool) -> None:
    """Bring a row to a refresh: its first, or one with everything committed but the last positions."""
    row = lane.row
    if late:
        done = np.arange(row.prompt_length, max(row.prompt_length, row.length - LAST))
        row.commit(done, np.zeros(len(done), dtype=np.int64), np.ones(len(done)))
    row.block = lane.schedule(row)
    row.refresh = lane.cache.refresh_due(row)
    row.visible = lane.context(row)
    row.query = lane.cache.query(row)
    lane.settle(kv)


def _noise(plan: ForwardPlan, proposer: Proposer, model: DiffusionModel) -> torch.Tensor | None:
    dtype = proposer.dtype(model.dtype)
    one = proposer.sampler.noise(1, 1, torch.Generator(), dtype)
    n = len(plan.tables["sources"])
    return None if one is None else torch.empty(n, model.vocabulary, dtype=one.dtype, device=model.device)


class _Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are alive at once; those that were there before do not count."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.most = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            self._note(tensor, new=False)
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            self._note(tensor, new=True)
        return made

    def _note(self, tensor: Any, new: bool) -> None:
        if not isinstance(tensor, torch.Tensor):
            return
        storage = tensor.untyped_storage()
        if storage._cdata in self._alive:
            return
        self._alive[storage._cdata] = size = storage.nbytes() if new else 0
        weakref.finalize(storage, self._free, storage._cdata)
        self.held += size
        self.most = max(self.most, self.held)

    def _free(self, storage: int) -> None:
        self.held -= self._alive.pop(storage)
