"""Write a trained network as a LLaDA checkpoint folder: config, safetensors in the published layout, tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .network import Shape

_OUTER = {"wte.weight": "wte.weight", "ln_f.weight": "ln_f.weight", "head.weight": "ff_out.weight"}


def llada_name(name: str) -> str:
    """Tensor name in LLaDA's files for a parameter of `Network`."""
    return "model.transformer." + _OUTER.get(name, name)


def llada_config(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """`config.json` with the field names of GSAI-ML/LLaDA-8B-Instruct."""
    return {
        "activation_type": "silu",
        "alibi": False,
        "alibi_bias_max": 8.0,
        "architectures": ["LLaDAModelLM"],
        "attention_dropout": 0.0,
        "attention_layer_norm": False,
        "attention_layer_norm_with_affine": True,
        "bias_for_layer_norm": None,
        "block_group_size": 1,
        "block_type": "llama",
        "d_model": shape.d_model,
        "embedding_dropout": 0.0,
        "embedding_size": shape.vocab_size,
        "eos_token_id": tokenizer.eos_token_id,
        "flash_attention": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "init_cutoff_factor": None,
        "init_device": "cpu",
        "init_fn": "normal",
        "init_std": 0.02,
        "input_emb_norm": False,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "mask_token_id": tokenizer.mask_token_id,
        "max_sequence_length": shape.max_sequence_length,
        "mlp_hidden_size": shape.mlp_hidden_size,
        "mlp_ratio": 4,
        "model_type": "llada",
        "multi_query_attention": None,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_heads,
        "n_layers": shape.n_layers,
        "pad_token_id": tokenizer.pad_token_id,
        "precision": None,
        "residual_dropout": 0.0,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope": True,
        "rope_full_precision": True,
        "rope_theta": shape.rope_theta,
        "scale_logits": False,
        "torch_dtype": "bfloat16",
        "train_max_sequence_length": shape.max_sequence_length,
        "use_cache": False,
        "vocab_size": shape.vocab_size,
        "weight_tying": False,
    }


def export(
    state: Mapping[str, Tensor],
    shape: Shape,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write config.json, model.safetensors (in `dtype`) and the tokenizer's files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = llada_config(shape, tokenizer)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {llada_name(name): tensor.detach().to(dtype).contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    # The class name and template that every transformers since 4.34 understands, not only version 5.
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for local in ("backend", "is_local", "local_files_only"):
        settings.pop(local, None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
