"""Recipes: everything that determines a decode, read from layers of YAML and overrides, checked, and built."""

from dllmkit.recipe.recipe import Recipe, load_recipe
from dllmkit.recipe.schema import DecodeSettings, ModelSettings, PromptSettings, RuntimeSettings

__all__ = ["DecodeSettings", "ModelSettings", "PromptSettings", "Recipe", "RuntimeSettings", "load_recipe"]
