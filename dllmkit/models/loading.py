"""Loading the model that a recipe names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dllmkit.models.checkpoint import load_network, locate, read_config, recognise
from dllmkit.models.dtype import choose_device, choose_dtype
from dllmkit.models.family import Architecture
from dllmkit.models.model import DiffusionModel
from dllmkit.models.tokenizer import load_tokenizer

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
    device = choose_device(recipe.runtime.device)
    dtype = choose_dtype(recipe.runtime.dtype, device)
    network = load_network(folder, architecture, device, dtype)
    return DiffusionModel.wrap(network, architecture, load_tokenizer(folder, architecture))
