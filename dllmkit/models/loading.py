"""Loading the model that a recipe names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from dllmkit.models.checkpoint import locate, read_config, recognise
from dllmkit.models.dtype import choose_device, choose_dtype
from dllmkit.models.family import Architecture
from dllmkit.models.model import DiffusionModel
from dllmkit.models.tokenizer import load_tokenizer
from dllmkit.models.weights import load_network

if TYPE_CHECKING:
    from dllmkit.recipe import Recipe
    from dllmkit.registry import Registry


def load_model(
    recipe: Recipe, registry: Registry, check: Callable[[Architecture], object] = lambda found: None
) -> DiffusionModel:
    """Find, recognise and load the checkpoint of a recipe; `check` sees its architecture before any weight is read.

    Raises ModelError if there is no such checkpoint, no family knows it, or its tensors do not fit.
    """
    folder = locate(recipe.model.path, recipe.model.revision)
    families = [registry.resolve("model_family", name)() for name in registry.names("model_family")]
    architecture = recognise(read_config(folder), families)
    check(architecture)
    if recipe.runtime.threads is not None:
        torch.set_num_threads(recipe.runtime.threads)
    device = choose_device(recipe.runtime.device)
    config = architecture.config
    choice = choose_dtype(recipe.runtime.dtype, device, width=config.hidden_size, hidden=config.intermediate_size)
    network = load_network(folder, architecture, device, choice.dtype)
    if device.type == "cpu":  # elsewhere the operator of packed layers need not be registered
        from dllmkit.models.packed import pack_if_faster

        pack_if_faster(network)
    return DiffusionModel.wrap(network, architecture, load_tokenizer(folder, architecture))
