"""The hooks of dllmkit: each registers factories by name, none is called while decoding.

A factory is a component class, or a string "package.module:Class" that is imported when a recipe names it, so that listing
plugins imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pluggy

PROJECT = "dllmkit"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Factories = Mapping[str, "str | Callable[..., Any]"]


@hookspec
def dllmkit_context_windows() -> Factories:  # type: ignore[empty-body]
    """Return context windows by name: they decide which positions the model may attend to."""


@hookspec
def dllmkit_block_schedulers() -> Factories:  # type: ignore[empty-body]
    """Return block schedulers by name: they decide which masks may be committed now."""


@hookspec
def dllmkit_cache_policies() -> Factories:  # type: ignore[empty-body]
    """Return cache policies by name: they decide which visible positions are recomputed."""


@hookspec
def dllmkit_unmask_selectors() -> Factories:  # type: ignore[empty-body]
    """Return unmask selectors by name: they decide which eligible masks become tokens."""


@hookspec
def dllmkit_stop_rules() -> Factories:  # type: ignore[empty-body]
    """Return stop rules by name: they end a row before all its masks are committed."""


@hookspec
def dllmkit_model_families() -> Factories:  # type: ignore[empty-body]
    """Return model families by name: they map a published checkpoint onto a transformers class."""


@hookspec
def dllmkit_recipe_dirs() -> list[Path]:  # type: ignore[empty-body]
    """Return folders of recipes that the plugin ships."""
