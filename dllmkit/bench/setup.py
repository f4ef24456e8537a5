"""From what was asked for to recipes that are ready to run: models, prompts, schedule."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dllmkit.bench.runner import Contender
from dllmkit.bench.schedule import CommitSchedule
from dllmkit.bench.shapes import Shape, random_model
from dllmkit.errors import DllmkitError, RequestError

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder, Prompt
    from dllmkit.models.model import DiffusionModel
    from dllmkit.recipe import Recipe
    from dllmkit.registry import Registry

PROMPT_LENGTH = 64
"""Tokens of a random prompt, where nothing else is said."""


@dataclass(frozen=True)
class Setup:
    """What to run: recipes with overrides for all of them, on weights or a shape, over prompts or random ones."""

    recipes: Sequence[str]
    overrides: Sequence[str] = ()
    shape: str | None = None  # random weights instead of the recipes' models
    prompts: Sequence[Prompt] = ()  # the same for all; none: random ones, or the first recipe's samples
    prompt_lengths: Sequence[int] = ()  # of random prompts
    schedule: CommitSchedule | None = None
    seed: int = 0  # of random weights and prompts
    _models: dict[tuple[Any, ...], DiffusionModel] = field(default_factory=dict, repr=False)

    def contenders(self) -> list[Contender]:
        """Read all recipes, then load models (each once) and lay out the prompts.

        Raises DllmkitError for whatever cannot be: recipes, weights, prompts that do not fit.
        """
        from dllmkit.plugins import load_plugins
        from dllmkit.recipe import load_recipe

        plugins = load_plugins()
        plugins.warn()
        read = [load_recipe(name, self.overrides, plugins) for name in self.recipes]
        names = _distinct(self.recipes)
        made = []
        for name, recipe in zip(names, read, strict=True):
            decoder = self._decoder(recipe, plugins.registry)
            prompts = self._tokens(decoder, read[0])
            if self.schedule is not None:
                settings = decoder.settings
                paced = replace(settings, unmask_selector=self.schedule.pace(settings.unmask_selector))
                decoder = replace(decoder, settings=paced)
            made.append(Contender(name, decoder, prompts))
        return made

    def _decoder(self, recipe: Recipe, registry: Registry) -> Decoder:
        from dllmkit.decoder import Decoder

        where = (recipe.runtime.device, recipe.runtime.dtype)
        key = (*where, recipe.model.path, recipe.model.revision) if self.shape is None else where
        if key not in self._models:
            self._models[key] = self._model(recipe, registry)
        return Decoder.of(self._models[key], recipe)

    def _model(self, recipe: Recipe, registry: Registry) -> DiffusionModel:
        import torch
        from transformers.utils import logging

        from dllmkit.decoder import make_sampler
        from dllmkit.models.dtype import choose_device, choose_dtype
        from dllmkit.models.loading import load_model

        logging.set_verbosity_error()
        if self.shape is None:
            return load_model(recipe, registry, check=lambda found: make_sampler(recipe, found))
        if recipe.runtime.threads is not None:
            torch.set_num_threads(recipe.runtime.threads)
        shape = Shape.named(self.shape)
        families = [registry.resolve("model_family", name)() for name in registry.names("model_family")]
        architecture = shape.architecture(families)
        make_sampler(recipe, architecture)
        device, config = choose_device(recipe.runtime.device), architecture.config
        choice = choose_dtype(recipe.runtime.dtype, device, width=config.hidden_size, hidden=config.intermediate_size)
        model = random_model(shape, architecture, device, choice.dtype, self.seed)
        if device.type == "cpu":  # as for weights that are loaded
            from dllmkit.models.packed import pack_if_faster

            pack_if_faster(model.network)
        return model

    def _tokens(self, decoder: Decoder, first: Recipe) -> list[tuple[int, ...]]:
        """Turn the prompts into token ids, repeated until they fill the batch; `first` says how text is presented."""
        prompts: list[Prompt] = [*self.prompts]
        if not prompts and not self.prompt_lengths and self.shape is None:
            prompts = [*first.prompts.samples]
            if not prompts:
                raise RequestError(
                    "no prompt: give --prompts FILE, --prompt-length N, or prompts.samples in the recipe"
                )
        if not prompts:
            prompts = [*self._random(decoder.model, decoder.batch_size)]
        filled = list(itertools.islice(itertools.cycle(prompts), max(len(prompts), decoder.batch_size)))
        return [request.prompt for request in decoder.requests(filled, chat=first.prompts.chat)]

    def _random(self, model: DiffusionModel, batch_size: int) -> list[list[int]]:
        """Draw token ids, none of them the mask or an end, with the lengths in turn."""
        import numpy as np

        special = model.architecture.special
        ids = np.setdiff1d(np.arange(model.vocabulary), [special.mask_id, *special.eos_ids])
        lengths = self.prompt_lengths or (PROMPT_LENGTH,)
        rng = np.random.default_rng(self.seed)
        n = max(batch_size, len(lengths))
        return [rng.choice(ids, lengths[i % len(lengths)]).tolist() for i in range(n)]


def read_lengths(text: str) -> tuple[int, ...]:
    """Read `--prompt-length`: a number, or several with commas for prompts of different length."""
    try:
        lengths = tuple(int(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise DllmkitError(f"--prompt-length {text}: expected a number of tokens such as 64, or several: 32,64,200")
    return lengths


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the recipes that are named twice: measuring one against itself shows what the machine adds."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered
