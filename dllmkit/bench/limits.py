"""The limit: how long the matrix products of a forward take on this machine when nothing else is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dllmkit.bench.clock import synchroniser
from dllmkit.bench.work import Attended, Linear, Product, parameters

if TYPE_CHECKING:
    import torch

    from dllmkit.models.model import DiffusionModel

_LEAST, _MOST, _SECONDS = 3, 20, 2e-3  # timings of a product: at least, at most, and until this much time is spent
_BURST = 10  # launches timed together on a GPU, where one alone would measure the launch
_BUFFER = 1 << 30  # bytes; a smaller model is measured at its own size, as it may stay in a cache


@dataclass(frozen=True)
class Limits:
    """Seconds of products and bytes per second: the least time of anything made of them."""

    seconds: Mapping[Product, float]
    bandwidth: float  # bytes per second, read from a buffer as large as the weights
    itemsize: int

    @classmethod
    def least(cls, rounds: Sequence[Limits]) -> Limits:
        """Take the best of several measurements: what a busy machine adds to one of them is no limit."""
        seconds: dict[Product, float] = {}
        for one in rounds:
            for product, taken in one.seconds.items():
                seconds[product] = min(taken, seconds.get(product, taken))
        return cls(seconds, max(one.bandwidth for one in rounds), rounds[0].itemsize)

    def of(self, product: Product) -> float:
        """Return the least seconds of one product: its time with operands at hand, or that of bringing them."""
        return max(self.seconds[product], self.bytes(product) / self.bandwidth)

    def total(self, products: Counter[Product]) -> float:
        """Return the least seconds of products done one after the other."""
        return sum(self.of(product) * n for product, n in products.items())

    def bytes(self, product: Product) -> int:
        """Count what must be read from memory: weights, or keys and values; activations are at hand."""
        if isinstance(product, Linear):
            return product.inputs * product.outputs * self.itemsize
        return 2 * product.rows * product.kv_heads * product.keys * product.head_dim * self.itemsize


@dataclass(frozen=True, eq=False)
class Machine:
    """Measures limits on the device and in the dtype of a model, with its own layers: no weight is copied."""

    device: torch.device
    dtype: torch.dtype
    linears: Mapping[tuple[int, int], Any]  # (inputs, outputs) -> the first such layer
    weight_bytes: int

    @classmethod
    def of(cls, model: DiffusionModel) -> Machine:
        """Find a layer of each size in a model."""
        linears: dict[tuple[int, int], Any] = {}
        for module in model.network.modules():
            if hasattr(module, "in_features"):
                linears.setdefault((module.in_features, module.out_features), module)
        return cls(model.device, model.dtype, linears, parameters(model) * model.dtype.itemsize)

    def measure(self, products: Iterable[Product]) -> Limits:
        """Time each product once more, and the memory."""
        import torch

        with torch.inference_mode():
            seconds = {product: self._product(product) for product in products}
            return Limits(seconds, self._bandwidth(), self.dtype.itemsize)

    def _product(self, product: Product) -> float:
        if isinstance(product, Linear):
            return min(self._fastest(call) for call in self._linear(product))
        return min(self._fastest(call) for call in self._attention(product))

    def _linear(self, product: Linear) -> list[Callable[[], object]]:
        """The layer itself, and its product into memory that is there already: large outputs cost more to allocate."""
        import torch

        left, layer = self._noise(product.rows, product.inputs), self.linears[product.inputs, product.outputs]
        calls: list[Callable[[], object]] = [lambda: layer(left)]
        if isinstance(layer, torch.nn.Linear):  # others keep their weights in an order of their own
            out = torch.empty(product.rows, product.outputs, dtype=self.dtype, device=self.device)
            calls.append(lambda: torch.mm(left, layer.weight.T, out=out))
        return calls

    def _attention(self, product: Attended) -> list[Callable[[], object]]:
        """The fused kernel, and the two plain products where their scores fit: whichever is faster is the limit."""
        from torch.nn import functional

        p, group = product, product.heads // product.kv_heads
        query = self._noise(p.rows, p.heads, p.query, p.head_dim)
        keys, values = (self._noise(p.rows, p.kv_heads, p.keys, p.head_dim) for _ in range(2))
        grouped = query.view(p.rows * p.kv_heads, group * p.query, p.head_dim)
        turned, flat = keys.flatten(0, 1).transpose(1, 2), values.flatten(0, 1)

        def fused() -> object:
            return functional.scaled_dot_product_attention(query, keys, values, enable_gqa=group > 1)

        def plain() -> object:
            return (grouped @ turned) @ flat

        scores = p.rows * p.heads * p.query * p.keys * self.dtype.itemsize
        return [fused, plain] if scores <= _BUFFER else [fused]

    def _bandwidth(self) -> float:
        """Read a buffer, and copy it; the better of the two rates, in bytes per second."""
        import torch

        n = max(1 << 16, min(self.weight_bytes, _BUFFER) // 4)
        buffer = torch.ones(n, dtype=torch.float32, device=self.device)
        half = buffer[: n // 2]
        rest = buffer[n // 2 : n // 2 * 2]
        read = buffer.nbytes / self._fastest(buffer.sum)
        copied = 2 * half.nbytes / self._fastest(lambda: rest.copy_(half))
        return max(read, copied)

    def _noise(self, *shape: int) -> torch.Tensor:
        import torch

        return torch.randn(shape, dtype=self.dtype, device=self.device)

    def _fastest(self, call: Callable[[], object]) -> float:
        """Return the least seconds of a call, after one that prepares it."""
        sync = synchroniser(self.device)
        burst = 1 if sync is None else _BURST
        call()
        taken: list[float] = []
        while len(taken) < _LEAST or (sum(taken) < _SECONDS and len(taken) < _MOST):
            if sync is not None:
                sync()
            began = time.perf_counter()
            for _ in range(burst):
                call()
            if sync is not None:
                sync()
            taken.append((time.perf_counter() - began) / burst)
        return min(taken)
