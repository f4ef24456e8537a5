"""Bidirectional attention of query rows over visible keys, as a transformers attention function.

The function writes the step's keys and values into the KV store, reads the visible ones, and adds up the attention rows
that a selector asked for (transformers 5.23 returns none under its own SDPA function, without an error).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch.nn import functional

from dllmkit.inputs import StepInputs
from dllmkit.signals import Attention

NAME = "dllmkit"
CHUNK = 1 << 26  # attention probabilities held at once when rows are recorded


@dataclass(frozen=True, slots=True, eq=False)
class AttentionRows:
    """Attention probabilities averaged over heads and layers."""

    rows: torch.Tensor  # [rows, width or query, keys], 0 in the padding
    queries: torch.Tensor  # [rows, width or query] position of each, -1 in the padding
    mean: torch.Tensor | None  # [rows, keys] mean over the rows of all visible positions


class AttentionStep:
    """What attention needs to know of one forward, and where it leaves the attention rows that were asked for."""

    def __init__(self, inputs: StepInputs, wanted: Attention | None, layers: frozenset[int], plain: bool) -> None:
        self.inputs, self.wanted, self.plain = inputs, wanted, plain
        self.layers = layers  # `wanted.layers`, counted from 0
        self.recorded: torch.Tensor | None = None  # [rows, width or query, keys]: sum over layers so far
        self.mask = (inputs.key_positions >= 0)[:, None, None, :] if inputs.masked else None  # [rows, 1, 1, keys]

    @property
    def every_row(self) -> bool:
        """Whether all query rows are recorded, not the proposed positions' alone: a mean over rows needs them."""
        return self.wanted is not None and (self.wanted.of == "query" or self.wanted.mean)

    def exchange(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the query's keys and values; return those of every visible position, [rows, kv_heads, keys, head_dim].

        What is returned is a view of the store, unless the rows are not neighbours in it.
        """
        inputs = self.inputs
        if inputs.store is None:
            return key, value
        sides = []
        for store, fresh in ((inputs.store.keys[layer], key), (inputs.store.values[layer], value)):
            # indexed dimensions come first: [rows, query, kv_heads, head_dim]
            store[inputs.rows[:, None], :, inputs.slots] = fresh.transpose(1, 2)
            chosen = store[inputs.rows] if inputs.gathered else store
            sides.append(chosen[:, :, : inputs.key_positions.shape[1]])
        return sides[0], sides[1]

    def record(self, query: torch.Tensor, keys: torch.Tensor, scaling: float) -> None:
        """Add this layer's attention rows, averaged over the query heads; `query` [rows, heads, query, head_dim]."""
        if not self.every_row:
            own = self.inputs.own[:, None, :, None].expand(-1, query.shape[1], -1, query.shape[3])
            query = query.gather(2, own)  # [rows, heads, width, head_dim]
        wide = torch.float64 if query.dtype == torch.float64 else torch.float32
        heads, kv_heads, count = query.shape[1], keys.shape[1], 1
        while query.shape[0] * heads * query.shape[2] * keys.shape[2] > CHUNK * count and count < kv_heads:
            count *= 2  # the number of parts doubles, for a compiled step to hold on to
        total = None
        grouped = rearrange(query, "r (k g) q d -> r k g q d", k=kv_heads)
        for q, k in zip(grouped.tensor_split(count, dim=1), keys.tensor_split(count, dim=1), strict=True):
            rows = _probabilities(q.flatten(1, 2).to(wide), k.to(wide), self.mask, scaling)
            part = rearrange(rows, "r k (g q) v -> r (k g) q v", q=query.shape[2]).sum(dim=1)
            total = part if total is None else total + part
        assert total is not None
        mean = total / heads
        self.recorded = mean if self.recorded is None else self.recorded + mean

    def result(self) -> AttentionRows | None:
        """Return what was asked for, averaged over layers."""
        if self.recorded is None or self.wanted is None:
            return None
        inputs = self.inputs
        queries = inputs.query_positions if self.every_row else inputs.proposed
        rows = (self.recorded / len(self.layers)).masked_fill((queries < 0)[:, :, None], 0.0)
        mean = None
        if self.wanted.mean:
            mean = inputs.memory.attention_mean(inputs.rows, queries, inputs.key_positions, rows, inputs.gathered)
        if self.every_row and self.wanted.of == "eligible":
            queries = inputs.proposed
            own = inputs.own[:, :, None].expand(-1, -1, rows.shape[2])
            rows = rows.gather(1, own).masked_fill((queries < 0)[:, :, None], 0.0)
        return AttentionRows(rows, queries, mean)


def _probabilities(query: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor | None, scaling: float) -> torch.Tensor:
    """Return softmax(Q K^T scaling), [rows, kv_heads, heads / kv_heads * query, keys]."""
    grouped = rearrange(query, "r (k g) q d -> r k (g q) d", k=keys.shape[1])
    scores = grouped @ keys.transpose(2, 3) * scaling
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    step: AttentionStep,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from the query rows to every visible key; `query` [rows, heads, query, head_dim] after RoPE.

    Returns [rows, query, heads, head_dim]. Registered with transformers under the name `dllmkit`; `step` reaches it through
    the layers' keyword arguments.
    """
    query, key = query.to(value.dtype), key.to(value.dtype)  # float32 where the family rotates in it
    keys, values = step.exchange(module.layer_idx, key, value)
    if module.layer_idx in step.layers:
        step.record(query, keys, scaling)
    if step.plain:
        weights = _probabilities(query, keys, step.mask, scaling)
        out = rearrange(weights @ values, "r k (g q) d -> r q (k g) d", q=query.shape[2])
        return out, None
    grouped = module.num_key_value_groups > 1
    out = functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=step.mask, scale=scaling, enable_gqa=grouped
    )
    return out.transpose(1, 2), None
