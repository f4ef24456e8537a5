"""DAWN (arXiv 2602.06953): commits are chosen so that they do not depend on each other."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_unmask_selectors() -> dict[str, str]:
    """Register the selector."""
    return {"dawn": "dllmkit_dawn.dawn:Dawn"}
