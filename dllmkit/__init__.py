"""dllmkit: research on how diffusion language models decode. One loop, four hook points, any combination in one recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder
    from dllmkit.hookspecs import hookimpl
    from dllmkit.observe.trace import Trace
    from dllmkit.recipe import load_recipe
    from dllmkit.result import Result
    from dllmkit.step import StepRecord

__all__ = ["Decoder", "Result", "StepRecord", "Trace", "hookimpl", "load_recipe"]

_HOMES = {
    "Decoder": "dllmkit.decoder",
    "Result": "dllmkit.result",
    "StepRecord": "dllmkit.step",
    "Trace": "dllmkit.observe.trace",
    "hookimpl": "dllmkit.hookspecs",
    "load_recipe": "dllmkit.recipe",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import dllmkit` alone loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dllmkit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
