"""Linear layers whose weights lie in the order in which oneDNN multiplies: for CPUs where torch's own product is slower.

torch multiplies float32 matrices with MKL, which on some processors runs at half the speed of oneDNN (measured: docs/lab).
This module registers an operator with torch when it is imported; only `pack` needs it.
"""

from __future__ import annotations

import statistics
import time
import weakref
from functools import lru_cache
from typing import Any, cast

import torch
from torch.nn import functional

ROWS = 64  # rows that the packed order is chosen for: those of a refine step; other numbers of rows work too
LONGEST = 1024  # sizes above this are measured at this
GAIN = 1.15  # weights are packed where products run at least this many times faster

# A packed weight cannot be an input of a compiled graph (inductor of torch 2.13 asserts), so there it goes by number.
_weights: weakref.WeakValueDictionary[int, PackedLinear] = weakref.WeakValueDictionary()


class PackedLinear(torch.nn.Module):
    """x W^T + b like the linear layer it is made of, whose own weight is then no longer needed."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self.dtype = linear.weight.dtype
        self.packed = _pack(linear.weight.detach())
        self.number = id(self)
        _weights[self.number] = self

    @property
    def weight(self) -> torch.Tensor:
        """The weight in its usual order, [out_features, in_features]: a copy."""
        weight: torch.Tensor = cast(Any, self.packed).to_dense()
        return weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply [..., in_features] to [..., out_features]."""
        if torch.compiler.is_compiling():
            product: torch.Tensor = _by_number(x, self.number, self.out_features)
            return product
        return _product(x, self.packed, self.bias)


@torch.library.custom_op("dllmkit::packed_linear", mutates_args=())
def _by_number(x: torch.Tensor, number: int, out_features: int) -> torch.Tensor:
    layer = _weights[number]
    return _product(x, layer.packed, layer.bias)


@_by_number.register_fake
def _(x: torch.Tensor, number: int, out_features: int) -> torch.Tensor:
    return x.new_empty(*x.shape[:-1], out_features)


def _pack(weight: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
    return packed


def _product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product


def pack_if_faster(network: Any) -> None:
    """Pack a network on the CPU if that is measured to be faster at its sizes."""
    config, weight = network.config, network.model.norm.weight
    if gain(weight.dtype, min(config.hidden_size, LONGEST), min(config.intermediate_size, LONGEST)) >= GAIN:
        pack(network)


def pack(network: Any) -> None:
    """Replace every linear layer of a network on the CPU by a packed one, one at a time; a tied weight is kept beside it."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(module, name, PackedLinear(child))


@lru_cache
def gain(dtype: torch.dtype, width: int, hidden: int, repeats: int = 7) -> float:
    """Measure, once per process, how many times faster packed products [ROWS, width] x [width, hidden] are.

    The two are timed in turn and their medians compared. 0 where torch has no oneDNN or cannot pack.
    """
    if dtype not in (torch.float32, torch.bfloat16) or not cast(Any, torch.backends.mkldnn).is_available():
        return 0.0
    x, weight = torch.ones(ROWS, width, dtype=dtype), torch.ones(hidden, width, dtype=dtype)
    try:
        packed = _pack(weight)
        right = torch.allclose(_product(x, packed, None), functional.linear(x, weight))
    except (AttributeError, RuntimeError, NotImplementedError):
        return 0.0
    if not right:
        return 0.0
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for taken, product, w in ((times[0], functional.linear, weight), (times[1], _product, packed)):
            start = time.perf_counter()
            product(x, w, None)
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]) / statistics.median(times[1])
