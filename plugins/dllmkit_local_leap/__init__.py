"""LocalLeap: a relaxed threshold near confident positions, one of the baselines that DAWN's paper compares with."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_unmask_selectors() -> dict[str, str]:
    """Register the selector."""
    return {"local_leap": "dllmkit_local_leap.local_leap:LocalLeap"}
