"""Small random checkpoints in exactly the layout that a family publishes, for tests of families and plugins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dllmkit.errors import nearest
from dllmkit.models.family import ModelFamily

CONFIGS = ("llada", "dream")


def random_checkpoint(
    folder: Path,
    family: str | ModelFamily = "llada",
    *,
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    layers: int = 3,
    width: int = 64,
    heads: int = 4,
    kv_heads: int | None = None,
    hidden: int | None = None,
    vocab: int = 128,
    length: int = 1024,
    tied: bool = False,
    dtype: str = "float32",
    spread: float = 5.0,
    shards: int = 1,
) -> Path:
    """Write a random checkpoint and return its folder: config.json and safetensors, no tokenizer.

    `family` is "llada" or "dream", or a family of your own together with its `config`; the sizes are then the config's.
    The mask token is the last but one of the vocabulary, the end-of-sequence token the last. `spread` is the standard
    deviation of the logits: at 5 confidences spread over (0, 1) as in a trained model, and no method is trivial. Equal
    arguments give equal files.
    """
    import torch

    from dllmkit.models.weights import save_checkpoint

    if isinstance(family, str):
        sizes = {"layers": layers, "width": width, "heads": heads, "kv_heads": kv_heads or heads, "vocab": vocab}
        sizes |= {"hidden": hidden or 5 * width // 2, "length": length}
        chosen, config = built_in(family), dict(config or published_config(family, sizes, tied, dtype))
    elif config is None:
        raise ValueError("a family of your own needs a config, as in its config.json")
    else:
        chosen, config = family, dict(config)
    architecture = chosen.architecture(config)
    network = architecture.model_class(architecture.config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(_scaled(name, noise, spread, architecture.config.tie_word_embeddings))
    save_checkpoint(network.to(getattr(torch, dtype)), architecture, config, folder, shards)
    return folder


def built_in(name: str) -> ModelFamily:
    """Return a family that dllmkit ships; ValueError for other names."""
    from dllmkit.models.dream import Dream
    from dllmkit.models.llada import Llada

    families: dict[str, ModelFamily] = {"llada": Llada(), "dream": Dream()}
    if name not in families:
        raise ValueError(f"no family '{name}' to make a checkpoint of; {nearest(name, families)}")
    return families[name]


def published_config(family: str, sizes: Mapping[str, int], tied: bool, dtype: str) -> dict[str, Any]:
    """Return a config.json with the field names of LLaDA or Dream on the hub."""
    vocab = sizes["vocab"]
    common: dict[str, Any] = {
        "mask_token_id": vocab - 2,
        "eos_token_id": vocab - 1,
        "pad_token_id": vocab - 1,
        "vocab_size": vocab,
    }
    common |= {"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "use_cache": False, "torch_dtype": dtype}
    if family == "dream":
        return common | {
            "architectures": ["DreamModel"],
            "model_type": "Dream",
            "hidden_act": "silu",
            "hidden_size": sizes["width"],
            "intermediate_size": sizes["hidden"],
            "max_position_embeddings": sizes["length"],
            "num_attention_heads": sizes["heads"],
            "num_hidden_layers": sizes["layers"],
            "num_key_value_heads": sizes["kv_heads"],
            "rope_scaling": None,
            "sliding_window": None,
            "tie_word_embeddings": tied,
            "use_sliding_window": False,
        }
    return common | {
        "architectures": ["LLaDAModelLM"],
        "model_type": "llada",
        "activation_type": "silu",
        "alibi": False,
        "attention_layer_norm": False,
        "bias_for_layer_norm": False,
        "block_group_size": 1,
        "block_type": "llama",
        "d_model": sizes["width"],
        "embedding_size": vocab,
        "include_bias": False,
        "include_qkv_bias": False,
        "input_emb_norm": False,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "max_sequence_length": sizes["length"],
        "mlp_hidden_size": sizes["hidden"],
        "mlp_ratio": 4,
        "multi_query_attention": None,
        "n_heads": sizes["heads"],
        "n_kv_heads": sizes["kv_heads"],
        "n_layers": sizes["layers"],
        "rope": True,
        "rope_full_precision": True,
        "scale_logits": False,
        "weight_tying": tied,
    }


def _scaled(name: str, noise: Any, spread: float, tied: bool) -> Any:
    """Scale noise so that activations keep their size from layer to layer, and logits have the wanted spread."""
    if noise.dim() == 1:
        return 1 + 0.1 * noise if name.endswith("weight") else 0.2 * noise  # norms, biases
    per_input = 1 / math.sqrt(noise.shape[-1])
    if "lm_head" in name or ("embed" in name and tied):
        return noise * spread * per_input
    if "embed" in name:
        return noise
    if "q_proj" in name or "k_proj" in name:
        return noise * 1.6 * per_input  # attention that prefers some positions
    return noise * per_input
