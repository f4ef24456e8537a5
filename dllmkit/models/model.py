"""A diffusion language model ready to decode: transformers' layers, run on the query rows of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dllmkit.inputs import StepInputs
from dllmkit.kv import KVStore
from dllmkit.memory import Memory
from dllmkit.models.attention import NAME, AttentionRows, AttentionStep, attend
from dllmkit.models.family import Architecture
from dllmkit.signals import Signals


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """What a forward leaves: the last hidden state of every query row, and the attention rows asked for."""

    states: torch.Tensor  # [rows, query, width of the model]
    attention: AttentionRows | None


@dataclass(frozen=True, slots=True, eq=False)
class DiffusionModel:
    """A network of transformers' classes with what its family says of it; attention is bidirectional.

    `network` is a causal-LM class of transformers (Llama, Qwen2) on `device` in `dtype`. `plain_attention` computes
    attention as two matrix products and a softmax in that dtype, instead of torch's fused kernel.
    """

    network: Any
    architecture: Architecture
    device: torch.device
    dtype: torch.dtype
    tokenizer: Any = None
    plain_attention: bool = False

    @classmethod
    def wrap(
        cls, network: Any, architecture: Architecture, tokenizer: Any = None, plain_attention: bool = False
    ) -> DiffusionModel:
        """Take a loaded network and route its attention through the plan."""
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, attend)
        network.config._attn_implementation = NAME
        weight = network.model.norm.weight
        return cls(network, architecture, weight.device, weight.dtype, tokenizer, plain_attention)

    @property
    def n_layers(self) -> int:
        """Transformer layers."""
        return len(self.network.model.layers)

    @property
    def vocabulary(self) -> int:
        """Rows of the language-model head."""
        return int(self.network.lm_head.out_features)

    def new_kv(self, rows: int, length: int) -> KVStore:
        """Make an empty KV store for `rows` sequences of at most `length` positions."""
        attention = self.network.model.layers[0].self_attn
        kv_heads = attention.k_proj.out_features // attention.head_dim
        return KVStore(self.n_layers, kv_heads, attention.head_dim, rows, length, self.device, self.dtype)

    def new_memory(self, signals: Signals, rows: int, length: int, stored: bool) -> Memory:
        """Make the memory that the signals need, empty; `stored` says whether forwards read a KV store."""
        return Memory(signals, rows, length, stored, self.device, self.dtype, self.vocabulary)

    def layer_indices(self, signals: Signals) -> frozenset[int]:
        """Turn the declared attention layers (negative: from the end) into indices; refuse those the model lacks."""
        if signals.attention is None:
            return frozenset()
        n = self.n_layers
        if not signals.attention.layers or any(not -n <= layer < n for layer in signals.attention.layers):
            raise ValueError(f"attention of layers {signals.attention.layers} asked for, the model has {n} layers")
        return frozenset(layer % n for layer in signals.attention.layers)

    def forward(self, inputs: StepInputs, signals: Signals) -> Hidden:
        """Run one forward of the query rows over their visible keys, writing keys and values to the store."""
        body = self.network.model
        step = AttentionStep(inputs, signals.attention, self.layer_indices(signals), self.plain_attention)
        hidden = body.embed_tokens(inputs.tokens)  # [rows, query, model width]
        half = hidden.dtype in (torch.bfloat16, torch.float16)
        wide = hidden.float() if half and self.architecture.rotary == "float32" else hidden
        rotary = body.rotary_emb(
            wide, inputs.positions
        )  # cosines and sines in the dtype of `wide`; `attend` casts back
        for layer in body.layers:
            hidden = layer(hidden, attention_mask=None, position_embeddings=rotary, step=step)
        return Hidden(body.norm(hidden), step.result())

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Apply the language-model head to chosen rows: [n, model width] to [n, vocabulary]."""
        logits: torch.Tensor = self.network.lm_head(states)
        return logits
