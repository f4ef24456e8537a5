"""The models of several recipes, each loaded once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dllmkit.decoder import Decoder, make_sampler
from dllmkit.models.checkpoint import locate, read_config, recognise
from dllmkit.models.loading import load_model
from dllmkit.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from dllmkit.models.family import Architecture
    from dllmkit.models.model import DiffusionModel
    from dllmkit.recipe import Recipe
    from dllmkit.registry import Registry


@dataclass(slots=True)
class Models:
    """Loads models when a recipe needs them, and shares them between recipes that mean the same one."""

    registry: Registry
    _loaded: dict[tuple[str | None, ...], DiffusionModel] = field(default_factory=dict)

    def check(self, recipe: Recipe) -> Architecture:
        """Find the checkpoint of a recipe and check what can be checked without its weights; RecipeError or ModelError."""
        folder = locate(recipe.model.path, recipe.model.revision)
        families = [self.registry.resolve("model_family", name)() for name in self.registry.names("model_family")]
        architecture = recognise(read_config(folder), families)
        make_sampler(recipe, architecture)
        return architecture

    def tokenizer(self, recipe: Recipe) -> Any:
        """Load the tokenizer alone; None if the checkpoint has none."""
        return load_tokenizer(locate(recipe.model.path, recipe.model.revision), self.check(recipe))

    def decoder(self, recipe: Recipe) -> Decoder:
        """Put the recipe on its model."""
        key = _key(recipe)
        if key not in self._loaded:
            self._loaded[key] = load_model(recipe, self.registry, check=lambda found: make_sampler(recipe, found))
        return Decoder.of(self._loaded[key], recipe)

    def holds(self, recipe: Recipe) -> bool:
        """Whether the recipe's model is loaded."""
        return _key(recipe) in self._loaded


def _key(recipe: Recipe) -> tuple[str | None, ...]:
    """What makes a loaded model: the checkpoint, and how it is loaded."""
    runtime = recipe.runtime
    return recipe.model.path, recipe.model.revision, runtime.device, runtime.dtype


def quiet() -> None:
    """Silence transformers: its warnings (a long prompt, an unusual config) are errors of ours, or nothing."""
    from transformers.utils import logging

    logging.set_verbosity_error()
