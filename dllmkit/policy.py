"""A policy: one component for each hook point."""

from __future__ import annotations

from dataclasses import dataclass

from dllmkit.slots import BlockScheduler, CachePolicy, ContextWindow, StopRule, UnmaskSelector


@dataclass(frozen=True, slots=True)
class Policy:
    """How to decode: a component for each hook point, and the stop rules in the order in which they are asked."""

    block_scheduler: BlockScheduler
    context_window: ContextWindow
    cache_policy: CachePolicy
    unmask_selector: UnmaskSelector
    stop_rules: tuple[StopRule, ...] = ()
