"""The models of several recipes, each loaded once."""

from __future__ import annotations

from collections.abc import Sequence
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
        runtime = recipe.runtime
        key = (recipe.model.path, recipe.model.revision, runtime.device, runtime.dtype, runtime.compile)
        if key not in self._loaded:
            self._loaded[key] = load_model(recipe, self.registry, check=lambda found: make_sampler(recipe, found))
        else:
            make_sampler(recipe, self._loaded[key].architecture)
        return Decoder.of(self._loaded[key], recipe)


def same_tokens(recipes: Sequence[Recipe]) -> list[bool]:
    """Say of each recipe whether its tokens are those of the first: whether it names the same checkpoint."""
    return [recipe.model == recipes[0].model for recipe in recipes]
