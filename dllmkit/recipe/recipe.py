"""A recipe that was read and checked, and how it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.errors import RecipeError
from dllmkit.plugins import LoadedPlugins, load_plugins
from dllmkit.recipe.components import with_defaults
from dllmkit.recipe.files import recipe_folders
from dllmkit.recipe.interpolation import resolve
from dllmkit.recipe.layers import annotate, leaves, origin_of
from dllmkit.recipe.schema import DecodeSettings, ModelSettings, PromptSettings, PublishedFigures, RuntimeSettings
from dllmkit.recipe.sections import build_published, build_sections
from dllmkit.recipe.stack import stack

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe that can be used: checked, complete, its components built.

    `resolved` is all of it as plain values, every default included; `provenance` says of each of its leaves, by dotted path,
    where the value comes from. `published` is what its authors report, if the file says so.
    """

    source: str
    resolved: dict[str, Any]
    provenance: dict[str, str]
    model: ModelSettings
    decode: DecodeSettings
    runtime: RuntimeSettings
    prompts: PromptSettings
    published: PublishedFigures | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the resolved recipe, in hexadecimal; the first 12 digits are what is shown."""
        text = json.dumps(self.resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def short_hash(self) -> str:
        """The first 12 digits of the hash."""
        return self.hash[:12]

    def to_yaml(self) -> str:
        """Write the resolved recipe as YAML that reads back as the same recipe."""
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(OmegaConf.create(_escaped(self.resolved)))


def load_recipe(
    source: str | Path | Mapping[str, Any] | DictConfig,
    overrides: Sequence[str] = (),
    plugins: LoadedPlugins | None = None,
) -> Recipe:
    """Read a recipe and build its components, or raise one RecipeError with everything that is wrong.

    `source` is a file, the name of a recipe (`baseline/tiny`) or a mapping; `overrides` are `key=value`. Layers, later ones
    winning: defaults, the file it extends, the recipe, the overrides. Nothing is loaded but the component's own modules.
    """
    if plugins is None:
        plugins = load_plugins()
        plugins.warn()
    label = "recipe" if isinstance(source, Mapping) else str(source)
    registry = plugins.registry
    problems: list[str] = []
    layers = stack(source, overrides, recipe_folders(plugins.recipe_dirs), label, problems)
    published = build_published(layers.published, problems)
    tree = resolve(layers.tree, lambda named: with_defaults(registry, named), problems)
    sections = build_sections(tree, registry, problems)
    if sections is None or problems:
        raise RecipeError(label, list(dict.fromkeys(problems)))  # the same mistake twice is one problem
    resolved = {name: section.resolved for name, section in sections.items()}
    provenance = {".".join(path): origin_of(tree, path, "default") for path, _ in leaves(annotate(resolved, ""))}
    settings = {name: section.settings for name, section in sections.items()}
    return Recipe(label, resolved, provenance, **settings, published=published)


def _escaped(value: Any) -> Any:
    """Keep OmegaConf from taking a literal "${" for an interpolation."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
