"""The work of a forward, counted from its four sets: which matrix products it cannot do without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dllmkit.models.model import DiffusionModel
    from dllmkit.signals import Signals

Kind = Literal["refresh", "refine", "mixed"]
KINDS: tuple[Kind, ...] = ("refresh", "refine", "mixed")


@dataclass(frozen=True, slots=True)
class RowWork:
    """One row of a forward: positions recomputed, attended to, proposed at, and committed ones that rows of it predict."""

    query: int
    visible: int
    proposed: int
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Linear:
    """A product with a weight matrix: [rows, inputs] by [inputs, outputs]."""

    rows: int
    inputs: int
    outputs: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class Attended:
    """The two products of attention: scores and values, for every head of `rows` sequences of one forward."""

    rows: int
    heads: int
    kv_heads: int
    query: int
    keys: int
    head_dim: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 4 * self.rows * self.heads * self.query * self.keys * self.head_dim


Product = Linear | Attended


@dataclass(frozen=True, slots=True)
class ForwardWork:
    """One forward: the rows that share it."""

    rows: tuple[RowWork, ...]

    @property
    def kind(self) -> Kind:
        """`refresh` if everything visible is recomputed in every row, `refine` if in none, else `mixed`."""
        whole = [row.query == row.visible for row in self.rows]
        return "refresh" if all(whole) else "mixed" if any(whole) else "refine"


@dataclass(frozen=True)
class Network:
    """The matrices of a model, as far as counting needs them."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    linears: Mapping[tuple[int, int], int]  # (inputs, outputs) -> how many of them in all layers
    head: tuple[int, int]  # inputs and outputs of the language-model head
    recorded: Literal["none", "proposed", "query"] = "none"  # the attention rows that a selector asks for
    recorded_layers: int = 0
    observed: bool = False  # the head also runs on the rows of committed positions, for their confidences

    @classmethod
    def of(cls, model: DiffusionModel, signals: Signals) -> Network:
        """Read the sizes off a model; `signals` are those of the recipe's selector."""
        attention = model.network.model.layers[0].self_attn
        dim = attention.head_dim
        linears: Counter[tuple[int, int]] = Counter()
        for layer in model.network.model.layers:
            modules = (module for _, module in layer.named_modules())
            linears.update((m.in_features, m.out_features) for m in modules if hasattr(m, "in_features"))
        wanted = signals.attention
        every = wanted is not None and (wanted.of == "query" or wanted.mean)
        return cls(
            layers=model.n_layers,
            heads=attention.q_proj.out_features // dim,
            kv_heads=attention.k_proj.out_features // dim,
            head_dim=dim,
            linears=dict(linears),
            head=(model.network.lm_head.in_features, model.network.lm_head.out_features),
            recorded="none" if wanted is None else "query" if every else "proposed",
            recorded_layers=len(model.layer_indices(signals)),
            observed=signals.observed,
        )

    def layer_products(self, forward: ForwardWork) -> Counter[Product]:
        """Count the products of all layers. Rows share the linear ones; attention is counted at their mean lengths."""
        n, rows = len(forward.rows), sum(row.query for row in forward.rows)
        keys = -(-sum(row.visible for row in forward.rows) // n)
        attended = Attended(n, self.heads, self.kv_heads, -(-rows // n), keys, self.head_dim)
        products: Counter[Product] = Counter({attended: self.layers})
        for (inputs, outputs), times in self.linears.items():
            products[Linear(rows, inputs, outputs)] += times
        return products

    def head_products(self, forward: ForwardWork) -> Counter[Product]:
        """Count the product of the language-model head: on the rows that propose, and those that are observed."""
        rows = sum(row.proposed + (row.seen if self.observed else 0) for row in forward.rows)
        return Counter({Linear(rows, *self.head): 1})

    def flops(self, forward: ForwardWork) -> int:
        """Count multiplications and additions of all products, padding excluded.

        Attention rows that a selector reads are scores computed once more, in the layers that it asks for.
        """
        linear = self.layer_products(forward) + self.head_products(forward)
        pairs = sum(row.query * row.visible for row in forward.rows)
        again = sum((row.query if self.recorded == "query" else row.proposed) * row.visible for row in forward.rows)
        scores = 2 * self.layers * pairs + (self.recorded_layers * again if self.recorded != "none" else 0)
        products = sum(product.flops * n for product, n in linear.items() if isinstance(product, Linear))
        return products + 2 * self.heads * self.head_dim * scores


def total_flops(network: Network, forwards: Sequence[ForwardWork]) -> int:
    """Sum up the operations of a decode."""
    return sum(network.flops(forward) for forward in forwards)


def parameters(model: DiffusionModel) -> int:
    """Count the numbers in a model's matrices and vectors, also of layers that keep them in an order of their own."""
    layers = [module for module in model.network.modules() if hasattr(module, "in_features")]
    packed: int = sum(m.in_features * m.out_features for m in layers if m._parameters.get("weight") is None)
    plain: int = sum(weight.numel() for weight in model.network.parameters())
    return packed + plain
