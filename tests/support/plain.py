"""A toy's network written out plainly, one position at a time in dictionaries: what forwards and memory are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from dllmkit.models.model import DiffusionModel
from dllmkit.step import StepRecord


class Plain:
    """Runs query rows over cached keys and values; float64, batch 1, no padding, nothing shared with the engine."""

    def __init__(self, model: DiffusionModel) -> None:
        self.config, self.network = model.network.config, model.network
        self.keys: list[dict[int, torch.Tensor]] = [{} for _ in model.network.model.layers]
        self.values: list[dict[int, torch.Tensor]] = [{} for _ in model.network.model.layers]

    def forward(
        self, tokens: Sequence[int], query: Sequence[int], visible: Sequence[int], layers: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Recompute `query` out of `visible`; logits [query, vocabulary] and attention [query, visible], averaged."""
        body, heads, groups = self.network.model, self.config.num_attention_heads, self.config.num_key_value_heads
        size = self.config.hidden_size // heads
        x = body.embed_tokens.weight[torch.tensor([tokens[p] for p in query])]
        attention = torch.zeros(len(query), len(visible), dtype=torch.float64)
        for n, layer in enumerate(body.layers):
            h = self._norm(x, layer.input_layernorm.weight)
            a = layer.self_attn
            q = self._rotate((h @ a.q_proj.weight.T).view(-1, heads, size), query)
            k = self._rotate((h @ a.k_proj.weight.T).view(-1, groups, size), query)
            v = (h @ a.v_proj.weight.T).view(-1, groups, size)
            for i, p in enumerate(query):
                self.keys[n][p], self.values[n][p] = k[i], v[i]
            k_all = torch.stack([self.keys[n][p] for p in visible]).repeat_interleave(heads // groups, dim=1)
            v_all = torch.stack([self.values[n][p] for p in visible]).repeat_interleave(heads // groups, dim=1)
            weights = (torch.einsum("qhd,khd->hqk", q, k_all) / size**0.5).softmax(dim=-1)
            if n in [at % len(body.layers) for at in layers]:
                attention += weights.mean(dim=0) / len(layers)
            x = x + torch.einsum("hqk,khd->qhd", weights, v_all).reshape(len(query), -1) @ a.o_proj.weight.T
            h = self._norm(x, layer.post_attention_layernorm.weight)
            m = layer.mlp
            x = (
                x
                + (torch.nn.functional.silu(h @ m.gate_proj.weight.T) * (h @ m.up_proj.weight.T)) @ m.down_proj.weight.T
            )
        return self._norm(x, body.norm.weight) @ self.network.lm_head.weight.T, attention

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(dim=-1, keepdim=True) + self.config.rms_norm_eps).sqrt() * weight

    def _rotate(self, x: torch.Tensor, positions: Sequence[int]) -> torch.Tensor:
        half = x.shape[-1] // 2
        base = self.config.rope_parameters["rope_theta"]
        speed = base ** -(torch.arange(half, dtype=torch.float64) / half)
        angle = (torch.tensor(positions, dtype=torch.float64)[:, None] * speed)[:, None, :]
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)


@dataclass(frozen=True)
class Seen:
    """What one step should have seen, by position."""

    probability: dict[int, torch.Tensor]  # of each row computed in this step: the distribution it gives
    attention: dict[int, dict[int, float]]  # the last computed row of every visible position
    confidence: dict[int, float]  # last seen top-1 probability FOR a committed or eligible position
    mean: dict[int, float]  # mean over visible rows, by key


def replay(
    model: DiffusionModel, steps: Sequence[StepRecord], prompt: Sequence[int], layers: Sequence[int], released: bool
) -> Iterator[Seen]:
    """Recompute every step of one row from its record; as released, row 0 of a shifted model also speaks for position 0."""
    plain, shift = Plain(model), model.architecture.shift
    mask, length = model.architecture.special.mask_id, len(steps[0].canvas)
    tokens = [*prompt, *[mask] * (length - len(prompt))]
    rows: dict[int, dict[int, float]] = {}
    confidence: dict[int, float] = {}
    committed = set(range(len(prompt)))
    for step in steps:
        told = committed | set(step.eligible.tolist())
        query, visible = step.query.tolist(), step.visible.tolist()
        logits, attention = plain.forward(tokens, query, visible, layers)
        p = logits.softmax(dim=-1)
        for i, at in enumerate(query):
            rows[at] = dict(zip(visible, attention[i].tolist(), strict=True))
            for target in [at + shift, *([0] if released and at == 0 else [])]:
                if target in told:
                    confidence[target] = max(x for token, x in enumerate(p[i].tolist()) if token != mask)
        seen = {at: rows[at] for at in visible}
        mean = {k: sum(row.get(k, 0.0) for row in seen.values()) / len(visible) for k in visible}
        yield Seen(dict(zip(query, p, strict=True)), seen, dict(confidence), mean)
        tokens = step.canvas.tolist()
        committed |= set(step.chosen.tolist())
