"""The network that is trained: LLaDA's layout (bidirectional Llama blocks), written lean so that one CPU thread can train it.

`dllmkit` never decodes with this module: it loads the exported folder through its `llada` family, on transformers'
`LlamaForCausalLM`. `tests/tiny` checks that both compute the same logits.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of the network; the names follow `config.json` of LLaDA (arXiv 2502.09992)."""

    vocab_size: int
    d_model: int = 256
    n_layers: int = 6
    n_heads: int = 8
    mlp_hidden_size: int = 640
    max_sequence_length: int = 512
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 as transformers' Llama does; (..., d) to (..., d)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        out: Tensor = (self.weight * wide).to(x.dtype)
        return out


def rotary_tables(length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions 0..length-1, each float32 (length, head_dim), halves repeated."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in the rotate-half convention; x (batch, heads, length, head_dim)."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos + turned * sin


class Block(nn.Module):
    """One pre-norm block: full (bidirectional) attention, then SwiGLU; (batch, length, d) to the same."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, f = shape.d_model, shape.mlp_hidden_size
        self.heads = shape.n_heads
        self.attn_norm = RMSNorm(d, shape.rms_norm_eps)
        self.ff_norm = RMSNorm(d, shape.rms_norm_eps)
        self.q_proj = nn.Linear(d, d, bias=False)
        self.k_proj = nn.Linear(d, d, bias=False)
        self.v_proj = nn.Linear(d, d, bias=False)
        self.attn_out = nn.Linear(d, d, bias=False)
        self.ff_proj = nn.Linear(d, f, bias=False)
        self.up_proj = nn.Linear(d, f, bias=False)
        self.ff_out = nn.Linear(f, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, d = x.shape
        h = self.attn_norm(x)

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, d // self.heads).transpose(1, 2)

        q = rotate(split(self.q_proj(h)), cos, sin)
        k = rotate(split(self.k_proj(h)), cos, sin)
        # Plain products: in bfloat16 on CPUs they are faster than scaled_dot_product_attention.
        score = torch.matmul(q, k.transpose(-1, -2)) * (d // self.heads) ** -0.5
        mixed = torch.matmul(score.float().softmax(-1).to(x.dtype), split(self.v_proj(h)))
        x = x + self.attn_out(mixed.transpose(1, 2).reshape(batch, length, d))
        h = self.ff_norm(x)
        out: Tensor = x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))
        return out


class Network(nn.Module):
    """Masked diffusion LM; `forward` gives final hidden states (batch, length, d), `head` turns rows of them into logits."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.ln_f = RMSNorm(shape.d_model, shape.rms_norm_eps)
        self.head = nn.Linear(shape.d_model, shape.vocab_size, bias=False)
        cos, sin = rotary_tables(shape.max_sequence_length, shape.d_model // shape.n_heads, shape.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Hidden states after the last norm, in the dtype of the embedding, for tokens int64 (batch, length)."""
        x = self.wte(tokens)
        cos, sin = self.cos[: tokens.shape[1]].to(x.dtype), self.sin[: tokens.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        out: Tensor = self.ln_f(x)
        return out

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits float32 (batch, length, vocab); row i predicts position i (no shift)."""
        out: Tensor = self.head(self(tokens)).float()
        return out
