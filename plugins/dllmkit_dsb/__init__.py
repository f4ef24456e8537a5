"""DSB (arXiv 2602.05992): a block that slides with the commits, and a cache that slides with it."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_block_schedulers() -> dict[str, str]:
    """Register the scheduler."""
    return {"sliding_block": "dllmkit_dsb.sliding_block:SlidingBlock"}


@hookimpl
def dllmkit_cache_policies() -> dict[str, str]:
    """Register the cache."""
    return {"dsb_cache": "dllmkit_dsb.dsb_cache:DsbCache"}
