"""Streaming-dLLM (arXiv 2601.17917): a pruned suffix and a threshold that relaxes within a block.

Its early exit is the baseline's stop rule `eos` with `rule: block_end`; its cache is Fast-dLLM's `prefix_cache`.
"""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_context_windows() -> dict[str, str]:
    """Register the context window."""
    return {"suffix_window": "dllmkit_streaming.suffix_window:SuffixWindow"}


@hookimpl
def dllmkit_unmask_selectors() -> dict[str, str]:
    """Register the selector."""
    return {"dynamic_threshold": "dllmkit_streaming.dynamic_threshold:DynamicThreshold"}
