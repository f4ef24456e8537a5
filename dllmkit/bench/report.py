"""The figures of a benchmark as one document of plain data, each with its definition."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dllmkit.bench.clock import HOST, TimedForward
from dllmkit.bench.limits import Limits
from dllmkit.bench.runner import Measured, Pass
from dllmkit.bench.work import Linear, Network, Product, total_flops
from dllmkit.observe.metrics import DEFINITIONS as METRICS
from dllmkit.observe.metrics import Metrics

DEFINITIONS = {
    **METRICS,
    "seconds": "wall time of decoding all prompts once: model loading, tokenising and warm-up excluded; median of the repeats",
    "flops": "multiplications and additions of all matrix products, counted from the four sets; padding excluded",
    "flops_per_second": "flops / seconds",
    "accuracy": "not measured by bench",
    "peak_bytes": "device memory at its highest, weights included; null where the device does not count it",
    "time_ratio": "seconds of the first recipe / seconds of this one, in the same round; above 1 is faster",
    "first_call_seconds": "seconds of the first warm-up pass, with all that happens once: compilation, allocation, caches",
    "same_tokens": "whether every pass gave the same tokens",
    "refresh": "forwards in which every row recomputes all that it sees",
    "refine": "forwards in which every row reads some positions from the KV cache",
    "mixed": "forwards of a batch in which some rows refresh and others refine",
    "forward_ms": "time of a forward's layers, the language-model head excluded; null in a compiled step, which is one piece",
    "limit_ms": "least time of the same layers' matrix products on this machine",
    "forward_over_limit": "forward time / limit, in the same round",
    "step_ms": "time of a whole step: forward, proposal, selection, host",
    "step_limit_ms": "least time of the step's matrix products, the language-model head included",
    "step_over_limit": "step time / limit, in the same round",
    "shares": "parts of a step in the time of the median pass; host: schedule, context, cache, pack, commit and the rest",
}

Plain = dict[str, Any]


def report(measured: Sequence[Measured], settings: Plain, environment: Plain) -> Plain:
    """Put a benchmark together: what was asked for, where it ran, and a section for each recipe."""
    first = measured[0]
    return {
        "schema": 1,
        "kind": "dllmkit bench",
        "settings": settings,
        "environment": environment,
        "definitions": DEFINITIONS,
        "recipes": [_section(one, first) for one in measured],
    }


def _section(one: Measured, first: Measured) -> Plain:
    decoder, network = one.contender.decoder, one.contender.network
    recipe, model = decoder.recipe, decoder.model
    times = [done.seconds for done in one.passes]
    ratios = [a.seconds / b.seconds for a, b in zip(first.passes, one.passes, strict=True)]
    flops = total_flops(network, [forward.work for forward in one.phased[0].forwards])
    seconds = statistics.median(times)
    peaks = [done.peak_bytes for done in one.passes if done.peak_bytes is not None]
    tokens = {tuple(tuple(r.tokens) for r in done.results) for done in [*one.warmup, *one.passes]}
    return {
        "name": one.contender.name,
        "recipe": recipe.resolved,
        "recipe_hash": recipe.hash,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "prompt_lengths": [len(prompt) for prompt in one.contender.prompts],
        "metrics": {
            **Metrics.of(one.passes[0].results, seconds).as_dict(),
            "flops": flops,
            "flops_per_second": flops / seconds,
            "accuracy": None,
            "peak_bytes": max(peaks, default=None),
        },
        "seconds": _spread(times) | {"repeats": times},
        "time_ratio": _spread(ratios),
        "first_call_seconds": one.warmup[0].seconds,
        "warmup_seconds": [done.seconds for done in one.warmup],
        "same_tokens": len(tokens) == 1,
        "forwards": _kinds(one, network),
        "shares": shares(min(one.phased, key=lambda done: abs(done.seconds - _middle(one.phased)))),
        "limit": _limit(one.limits),
    }


def _middle(passes: Sequence[Pass]) -> float:
    return statistics.median(done.seconds for done in passes)


def _spread(values: Sequence[float]) -> Plain:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _kinds(one: Measured, network: Network) -> Plain:
    """Compare each kind of forward with its limit, round by round; the median round counts."""
    kinds: Plain = {}
    for kind in ("refresh", "refine", "mixed"):
        rounds = []
        for done, limits in zip(one.phased, one.limits, strict=True):
            forwards = [forward for forward in done.forwards if forward.work.kind == kind]
            if forwards:
                rounds.append(_round(forwards, network, limits))
        if rounds:
            kinds[kind] = {key: _median([one[key] for one in rounds]) for key in rounds[0]}
            kinds[kind]["count"] = rounds[0]["count"]
    return kinds


def _round(forwards: Sequence[TimedForward], network: Network, limits: Limits) -> Plain:
    n = len(forwards)
    works = [forward.work for forward in forwards]
    layers = sum(limits.total(network.layer_products(work)) for work in works)
    head = sum(limits.total(network.head_products(work)) for work in works)
    step = sum(forward.total for forward in forwards)
    compiled = any("step" in forward.seconds for forward in forwards)
    own = None if compiled else sum(forward.seconds["forward"] for forward in forwards)
    return {
        "count": n,
        "query_tokens": sum(row.query for work in works for row in work.rows) / n,
        "forward_ms": None if own is None else own / n * 1e3,
        "limit_ms": layers / n * 1e3,
        "forward_over_limit": None if own is None else own / layers,
        "step_ms": step / n * 1e3,
        "step_limit_ms": (layers + head) / n * 1e3,
        "step_over_limit": step / (layers + head),
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def shares(done: Pass) -> dict[str, float | None]:
    """Divide the time of a pass among the parts of a step; what a compiled step does in one piece is `step`."""
    parts: dict[str, float] = defaultdict(float)
    for forward in done.forwards:
        for name, seconds in forward.seconds.items():
            kind = f" {forward.work.kind}" if name in ("forward", "step") else ""
            parts[name + kind] += seconds
    whole = sum(parts.values())
    names = [f"{name} {kind}" for name in ("forward", "step") for kind in ("refresh", "refine", "mixed")]
    divided = {name: parts[name] / whole if name in parts else None for name in [*names, "propose", "select", *HOST]}
    return divided | {"host": sum(parts[name] for name in HOST) / whole}


def _limit(limits: Sequence[Limits]) -> Plain:
    """List what was measured of the machine: medians over the rounds."""
    products = sorted({p for limit in limits for p in limit.seconds}, key=lambda p: (type(p).__name__, str(p)))
    return {
        "bytes_per_second": statistics.median(limit.bandwidth for limit in limits),
        "products": [_product(p, [limit.seconds[p] for limit in limits if p in limit.seconds]) for p in products],
    }


def _product(product: Product, seconds: Sequence[float]) -> Plain:
    taken = statistics.median(seconds)
    kind = "linear" if isinstance(product, Linear) else "attention"
    return {"kind": kind, **asdict(product), "seconds": taken, "flops_per_second": product.flops / taken}
