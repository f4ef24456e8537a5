"""Fast-dLLM (arXiv 2505.22618): block-wise KV caches. Its selectors, threshold and factor, are part of the baseline."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_cache_policies() -> dict[str, str]:
    """Register the caches."""
    return {
        "prefix_cache": "dllmkit_fast_dllm.prefix_cache:PrefixCache",
        "dual_cache": "dllmkit_fast_dllm.dual_cache:DualCache",
    }
