"""`dllmkit validate`: whether recipes can be used."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dllmkit.errors import RecipeError
from dllmkit.plugins import load_plugins
from dllmkit.recipe import load_recipe


def validate(recipes: Sequence[str]) -> None:
    """Print 'ok' or everything that is wrong for each recipe; exit with status 2 if any cannot be used."""
    plugins = load_plugins()
    plugins.warn()
    bad = 0
    for recipe in recipes:
        try:
            load_recipe(recipe, (), plugins)
        except RecipeError as error:
            bad += 1
            print(error)
        else:
            print(f"{recipe}: ok")
    if bad:
        sys.exit(2)
