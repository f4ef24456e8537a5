"""KLASS (KL-adaptive stability sampling): commits wait until the model's opinion of a position has settled."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_unmask_selectors() -> dict[str, str]:
    """Register the selector."""
    return {"klass": "dllmkit_klass.klass:Klass"}
