"""Networks of random weights: the sizes of published models without their checkpoints."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.errors import ModelError, nearest

if TYPE_CHECKING:
    import torch

    from dllmkit.models.family import Architecture, ModelFamily
    from dllmkit.models.model import DiffusionModel

_LLADA = {
    "model_type": "llada", "block_type": "llama", "layer_norm_type": "rms", "activation_type": "silu", "rope": True,
    "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "weight_tying": False, "vocab_size": 126464,
    "embedding_size": 126464, "mask_token_id": 126336, "eos_token_id": 126081, "pad_token_id": 126081,
    "max_sequence_length": 4096,
}  # fmt: skip


def _llada(width: int, layers: int, heads: int, kv_heads: int, hidden: int) -> dict[str, Any]:
    sizes = {"d_model": width, "n_layers": layers, "n_heads": heads, "n_kv_heads": kv_heads, "mlp_hidden_size": hidden}
    return _LLADA | sizes


_SIZES = {  # width, layers, heads, key-value heads, MLP
    "8b": (4096, 32, 32, 32, 12288),  # LLaDA-8B
    "1b": (2048, 22, 32, 4, 5632),  # the body of TinyLlama-1.1B: with this vocabulary 1.5 billion parameters
    "135m": (576, 30, 9, 3, 1536),  # the body of SmolLM-135M: with this vocabulary 252 million
}
NAMES = (*_SIZES, "tiny")


@dataclass(frozen=True)
class Shape:
    """The sizes of a network: what its `config.json` says. No weights belong to it."""

    name: str
    config: Mapping[str, Any]

    @classmethod
    def named(cls, name: str) -> Shape:
        """Return a shape by name, or read one from a `config.json` (or the folder that holds it).

        `8b`, `1b` and `135m` have LLaDA's vocabulary of 126,464 tokens; `tiny` is the bundled model's shape. Raises
        ModelError for other names and for files that are no config.
        """
        from dllmkit.models.checkpoint import BUNDLED, locate, read_config

        if name in _SIZES:
            return cls(name, _llada(*_SIZES[name]))
        if name == "tiny":
            return cls(name, read_config(locate(BUNDLED)))
        path = Path(name)
        if path.is_dir():
            return cls(name, read_config(path))
        if path.is_file():
            return cls(name, _read(path))
        raise ModelError(f"no shape '{name}', and no config.json of that name; {nearest(name, NAMES)}")

    def architecture(self, families: Iterable[ModelFamily]) -> Architecture:
        """Map the config onto a transformers class; no token ends an answer, as random weights give each by chance."""
        from dllmkit.models.checkpoint import recognise

        found = recognise(self.config, families)
        return replace(found, special=replace(found.special, eos_ids=()))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds a JSON {type(config).__name__}; expected an object with the model's fields")
    return config


def random_model(
    shape: Shape, architecture: Architecture, device: torch.device, dtype: torch.dtype, seed: int = 0
) -> DiffusionModel:
    """Make a network of random weights, drawn straight on the device in `dtype`: there is never a second copy.

    Raises ModelError, with the arithmetic, when the weights do not fit into what is free.
    """
    import torch

    from dllmkit.models.model import DiffusionModel

    with torch.device("meta"):
        network: Any = architecture.model_class(copy.deepcopy(architecture.config))
    network.tie_weights()
    n = sum(p.numel() for p in network.parameters())  # tied weights count once
    _check_memory(shape, n, device, dtype)
    network.to(dtype).to_empty(device=device)
    network.tie_weights()
    # buffers (rotary frequencies) hold no parameter, so nothing but their module can make them
    network.model.rotary_emb = type(network.model.rotary_emb)(network.config).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            _draw(name, parameter, generator)
    network.eval().requires_grad_(False)
    return DiffusionModel.wrap(network, architecture)


def _draw(name: str, parameter: torch.Tensor, generator: torch.Generator) -> None:
    """Draw weights that keep the size of activations from layer to layer: no overflow, no denormal numbers."""
    if parameter.dim() == 1:
        parameter.fill_(1.0 if name.endswith("weight") else 0.0)  # norms, biases
    else:
        spread = 1.0 if "embed" in name else 1 / math.sqrt(parameter.shape[-1])
        parameter.normal_(0.0, spread, generator=generator)


def _check_memory(shape: Shape, parameters: int, device: torch.device, dtype: torch.dtype) -> None:
    from dllmkit.models.memory import free_bytes, human

    free, needed = free_bytes(device), parameters * dtype.itemsize
    if free is None or needed <= free:
        return
    kind = str(dtype).removeprefix("torch.")
    raise ModelError(
        f"shape '{shape.name}' does not fit into memory: {parameters:,} parameters x {dtype.itemsize} bytes ({kind}) = "
        f"{human(needed)} on {device}, {human(free)} is free; use a smaller --shape, another device or runtime.dtype"
    )
