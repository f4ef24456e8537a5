"""The baseline of dllmkit: LLaDA's and Dream's own decoding, as plugins like any other."""

from __future__ import annotations

from dllmkit.hookspecs import hookimpl


@hookimpl
def dllmkit_block_schedulers() -> dict[str, str]:
    """Register the schedulers."""
    return {"fixed_blocks": "dllmkit_baseline.fixed_blocks:FixedBlocks"}


@hookimpl
def dllmkit_context_windows() -> dict[str, str]:
    """Register the context windows."""
    return {"full": "dllmkit_baseline.full:Full"}


@hookimpl
def dllmkit_cache_policies() -> dict[str, str]:
    """Register the cache policies."""
    return {"none": "dllmkit_baseline.no_cache:NoCache"}


@hookimpl
def dllmkit_unmask_selectors() -> dict[str, str]:
    """Register the selectors."""
    return {
        "quota": "dllmkit_baseline.quota:Quota",
        "threshold": "dllmkit_baseline.threshold:Threshold",
        "factor": "dllmkit_baseline.factor:Factor",
        "dream_schedule": "dllmkit_baseline.dream_schedule:DreamSchedule",
    }


@hookimpl
def dllmkit_stop_rules() -> dict[str, str]:
    """Register the stop rules."""
    return {"eos": "dllmkit_baseline.eos:Eos"}


@hookimpl
def dllmkit_model_families() -> dict[str, str]:
    """Register the model families."""
    return {"llada": "dllmkit.models.llada:Llada", "dream": "dllmkit.models.dream:Dream"}
