"""Each kind of forward: its distance from the limit, and what its time is made of."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dllmkit.bench.clock import DEVICE, HOST, TimedForward
from dllmkit.bench.work import KINDS

if TYPE_CHECKING:
    from dllmkit.bench.limits import Limits
    from dllmkit.bench.runner import Pass
    from dllmkit.bench.work import Network

Plain = dict[str, Any]


def beside_limits(passes: Sequence[Pass], limits: Limits, network: Network) -> Plain:
    """Compare every forward with its own limit; medians of all forwards of a kind, in all passes."""
    lines: dict[str, list[Plain]] = defaultdict(list)
    for done in passes:
        for forward in done.forwards:
            lines[forward.work.kind].append(_line(forward, network, limits))
    return {kind: _summary(lines[kind], len(passes)) for kind in KINDS if kind in lines}


def _line(forward: TimedForward, network: Network, limits: Limits) -> Plain:
    """One forward, in milliseconds; a compiled step has no parts of its own."""
    work, seconds = forward.work, forward.seconds
    layers = limits.total(network.layer_products(work)) * 1e3
    head = limits.total(network.head_products(work)) * 1e3
    own, proposing = (seconds[name] * 1e3 if name in seconds else None for name in ("forward", "propose"))
    step = forward.total * 1e3
    return {
        "query_tokens": sum(row.query for row in work.rows),
        "forward_ms": own,
        "limit_ms": layers,
        "forward_over_limit": None if own is None else own / layers,
        "propose_ms": proposing,
        "head_limit_ms": head,
        "step_ms": step,
        "step_limit_ms": layers + head,
        "step_over_limit": step / (layers + head),
    }


def _summary(lines: Sequence[Plain], rounds: int) -> Plain:
    summary: Plain = {"count": len(lines) // rounds}
    for key in lines[0]:
        values = [line[key] for line in lines if line[key] is not None]
        summary[key] = statistics.median(values) if values else None
        if key.endswith("_over_limit"):
            summary[f"{key}_best"] = min(values, default=None)
    return summary


def shares(done: Pass) -> Plain:
    """Divide the time of a pass among kinds of forwards, and each kind's among the parts of a step; None: no such part."""
    whole = sum(forward.total for forward in done.forwards)
    return {
        kind: {"of_all": sum(parts.values()) / whole} | _parts(parts)
        for kind in KINDS
        if (parts := _seconds(forward for forward in done.forwards if forward.work.kind == kind))
    }


def _seconds(forwards: Iterable[TimedForward]) -> dict[str, float]:
    parts: dict[str, float] = defaultdict(float)
    for forward in forwards:
        for name, seconds in forward.seconds.items():
            parts[name] += seconds
    return parts


def _parts(parts: dict[str, float]) -> dict[str, float | None]:
    whole = sum(parts.values())
    named = {name: parts[name] / whole if name in parts else None for name in (*DEVICE, *HOST)}
    return {**named, "host": sum(parts[name] for name in HOST) / whole}
