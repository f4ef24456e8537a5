"""A toy model without a checkpoint, and a short way to decode with it: for the tests of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dllmkit.policy import Policy
from dllmkit.state import Request, Row
from dllmkit.step import StepRecord

if TYPE_CHECKING:
    import torch

    from dllmkit.execution.execution import Execution
    from dllmkit.models.model import DiffusionModel
    from dllmkit.sampling import Sampler


def toy_model(
    seed: int = 0,
    *,
    shift: int = 0,
    layers: int = 2,
    width: int = 32,
    heads: int = 4,
    kv_heads: int = 2,
    vocabulary: int = 24,
    sharpness: float = 6.0,
    dtype: torch.dtype | None = None,
) -> DiffusionModel:
    """Make a small random bidirectional model (transformers' Llama), float64 on the CPU unless told.

    The mask token is the last of the vocabulary, the end-of-sequence token the one before. `sharpness` scales the output
    layer, so that confidences spread over (0, 1).
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from dllmkit.models.family import Architecture, SpecialTokens
    from dllmkit.models.model import DiffusionModel

    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=4096,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    network = LlamaForCausalLM(config).to(dtype or torch.float64).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "norm" not in name:
            spread = sharpness if name.startswith("lm_head") else 1.5
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise * spread / parameter.shape[-1] ** 0.5)
    special = SpecialTokens(mask_id=vocabulary - 1, eos_ids=(vocabulary - 2,), pad_id=None)
    architecture = Architecture(
        family="toy", config=config, model_class=LlamaForCausalLM, rename=_NoNames(), special=special, shift=shift,
        sampler="gumbel", released_confidence="float64", rotary="model", max_length=4096,
    )  # fmt: skip
    return DiffusionModel.wrap(network, architecture)


class _NoNames:
    """A toy has no checkpoint, so no tensor has a published name."""

    def __call__(self, name: str) -> str | None:
        return None

    def published(self, name: str) -> str | None:
        return None


def toy_policy(**components: object) -> Policy:
    """Make a policy of the baseline (blocks of 8, full context, no cache, threshold 0.9), with what is given instead."""
    from dllmkit_baseline.fixed_blocks import FixedBlocks
    from dllmkit_baseline.full import Full
    from dllmkit_baseline.no_cache import NoCache
    from dllmkit_baseline.threshold import Threshold

    chosen: dict[str, object] = {
        "block_scheduler": FixedBlocks(8),
        "context_window": Full(),
        "cache_policy": NoCache(),
        "unmask_selector": Threshold(0.9),
    }
    return Policy(**{**chosen, **components})  # type: ignore[arg-type]


def toy_decode(
    model: DiffusionModel,
    prompts: Sequence[Sequence[int]],
    policy: Policy,
    *,
    gen_length: int = 32,
    batch_size: int = 1,
    as_released: bool = False,
    sampler: Sampler | None = None,
    seed: int = 0,
    execution: Execution | None = None,
    details: bool = False,
) -> tuple[list[Row], list[StepRecord]]:
    """Decode token-id prompts; return the finished rows in the order of the prompts, and every step record."""
    from dllmkit.decoder import request_seed
    from dllmkit.loop import decode
    from dllmkit.propose import Proposer
    from dllmkit.sampling import Gumbel

    special = model.architecture.special
    requests = [
        Request(
            i, tuple(p), gen_length, special.mask_id, special.eos_ids, model.architecture.shift, as_released,
            request_seed(seed, p, 0),
        )
        for i, p in enumerate(prompts)
    ]  # fmt: skip
    proposer = Proposer(sampler or Gumbel(), policy.unmask_selector.signals, special.mask_id)
    rows: dict[int, Row] = {}
    steps = []
    stream = decode(model, requests, policy, proposer, batch_size, execution=execution, details=details)
    for row, step in stream:
        rows[row.request.index] = row
        steps.append(step)
    return [rows[i] for i in range(len(requests))], steps
