"""What would make a step unfit for a CUDA graph: host reads, sizes that depend on data, crossings between devices.

No GPU is needed: the step runs on fake tensors of device `meta`, whose values nobody can read, under a watch of every
operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SYNCHRONISING = (
    "aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._unique2", "aten.unique_dim",
    "aten.repeat_interleave.Tensor", "aten.equal", "aten.is_nonzero", "aten.bincount",
)  # fmt: skip


class Watch(TorchDispatchMode):
    """Notes operations that wait for the device, and those whose tensors lie on different devices."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if str(operation).startswith(SYNCHRONISING):
            self.found.append(f"{operation} waits for the device")
        result = operation(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        devices = {t.device.type for t in given if t.dim()} | {t.device.type for t in made}
        if given and len(devices) > 1:
            self.found.append(f"{operation} crosses {' and '.join(sorted(devices))}")
        return result


@contextmanager
def audit() -> Iterator[list[str]]:
    """Run the body on fake tensors; afterwards the list says what is unfit. Reading a value raises at once."""
    with FakeTensorMode(allow_non_fake_inputs=True), Watch() as watch:
        yield watch.found


@dataclass
class Audited:
    """An execution that audits each kind of step on `meta` before it runs it eagerly."""

    sizing: Any
    preparing: float = 0.0
    found: list[str] = field(default_factory=list)
    kinds: set[object] = field(default_factory=set)

    def start(self, step: Any, noise: Any, kv: Any, memory: Any) -> Any:
        """Begin a decode."""
        from dllmkit.inputs import prepare

        model, proposer, selector = step.args

        def run(plan: Any, phase: Any) -> torch.Tensor:
            inputs = prepare(plan, kv, memory, noise(plan))
            kind = (plan.shape, plan.span is None, plan.masked, plan.dense)
            if kind not in self.kinds:
                self.kinds.add(kind)
                there = on_meta(model), proposer, selector, on_meta(inputs)
                with audit() as found:
                    step.func(*there)
                self.found += found
            decided: torch.Tensor = step(inputs)
            return decided

        return run


def on_meta(thing: Any) -> Any:
    """Copy a model, a memory, or a tree of tensors to fake tensors of device `meta`."""
    from copy import copy, deepcopy
    from dataclasses import replace

    from dllmkit.inputs import StepInputs
    from dllmkit.memory import Change, Memory
    from dllmkit.models.model import DiffusionModel

    if isinstance(thing, torch.Tensor):
        return torch.empty_strided(thing.shape, thing.stride(), dtype=thing.dtype, device="meta")
    if isinstance(thing, DiffusionModel):
        return replace(thing, network=deepcopy(thing.network).to("meta"), device=torch.device("meta"))
    if isinstance(thing, StepInputs):
        return StepInputs(*(on_meta(part) for part in thing))
    if isinstance(thing, (Memory, Change)):
        moved = copy(thing)
        for name, value in vars(thing).items():
            setattr(moved, name, torch.device("meta") if name == "device" else on_meta(value))
        return moved
    if isinstance(thing, tuple):
        parts = [on_meta(part) for part in thing]
        return type(thing)(*parts) if hasattr(thing, "_fields") else tuple(parts)
    return thing
