"""The figures of a benchmark as one document of plain data, each with its definition."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dllmkit.bench.kinds import beside_limits, shares
from dllmkit.bench.limits import Limits
from dllmkit.bench.runner import Measured, Pass
from dllmkit.bench.work import Linear, Product, parameters, total_flops
from dllmkit.observe.metrics import DEFINITIONS as METRICS
from dllmkit.observe.metrics import Metrics

DEFINITIONS = {
    **METRICS,
    "seconds": "wall time of decoding all prompts once, median of the repeats; loading, warm-up and compiling excluded",
    "cpu_seconds": "processor time of the same passes, all threads together; less than seconds: other programs had it",
    "preparing_seconds": "seconds in which steps were compiled or captured, in each pass of warm-up and repeats",
    "flops": "multiplications and additions of all matrix products, counted from the four sets; padding excluded",
    "flops_per_second": "flops / seconds",
    "accuracy": "not measured by bench",
    "peak_bytes": "device memory at its highest, weights included; null where the device does not count it",
    "time_ratio": "seconds of the first recipe / seconds of this one, in the same round; above 1 is faster",
    "first_call_seconds": "seconds of the first warm-up pass, with all that happens once: compiling, allocation, caches",
    "same_tokens": "whether every pass gave the same tokens",
    "refresh": "forwards in which every row recomputes all that it sees",
    "refine": "forwards in which every row reads some positions from the KV cache",
    "mixed": "forwards of a batch in which some rows refresh and others refine",
    "forward_ms": "time of a forward's layers, the language-model head excluded; null in a compiled step, which is one piece",
    "limit_ms": "least time of the same layers' matrix products on this machine, of all rounds",
    "forward_over_limit": "time of a forward's layers / its limit",
    "step_ms": "time of a whole step: forward, proposal, selection, host",
    "step_limit_ms": "least time of the step's matrix products, the language-model head included",
    "step_over_limit": "time of a step / its limit",
    "best": "the least ratio of all forwards of a kind: what remains where other programs disturbed none of the parts",
    "propose_ms": "time of the language-model head, and of reading tokens, confidences and signals off it",
    "head_limit_ms": "least time of the head's product",
    "shares": "parts of a step in the median pass, by kind; host: schedule, context, cache, pack, commit and the rest",
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
    limits, seconds = Limits.least(one.limits), statistics.median(times)
    peaks = [done.peak_bytes for done in one.passes if done.peak_bytes is not None]
    tokens = {tuple(tuple(r.tokens) for r in done.results) for done in [*one.warmup, *one.passes]}
    return {
        "name": one.contender.name,
        "recipe": recipe.resolved,
        "recipe_hash": recipe.hash,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": parameters(model),
        "prompt_lengths": [len(prompt) for prompt in one.contender.prompts],
        "metrics": {
            **Metrics.of(one.passes[0].results, seconds).as_dict(),
            "flops": flops,
            "flops_per_second": flops / seconds,
            "accuracy": None,
            "peak_bytes": max(peaks, default=None),
        },
        "seconds": _spread(times) | {"repeats": times},
        "cpu_seconds": _spread([done.cpu_seconds for done in one.passes]),
        "time_ratio": _spread(ratios),
        "first_call_seconds": one.warmup[0].seconds + one.warmup[0].preparing,
        "warmup_seconds": [done.seconds for done in one.warmup],
        "preparing_seconds": [done.preparing for done in (*one.warmup, *one.passes)],
        "same_tokens": len(tokens) == 1,
        "forwards": beside_limits(one.phased, limits, network),
        "shares": shares(min(one.phased, key=lambda done: abs(done.seconds - _middle(one.phased)))),
        "limit": _limit(limits),
    }


def _middle(passes: Sequence[Pass]) -> float:
    return statistics.median(done.seconds for done in passes)


def _spread(values: Sequence[float]) -> Plain:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _limit(limits: Limits) -> Plain:
    """List what was measured of the machine."""
    products = sorted(limits.seconds.items(), key=lambda item: (type(item[0]).__name__, str(item[0])))
    return {"bytes_per_second": limits.bandwidth, "products": [_product(p, seconds) for p, seconds in products]}


def _product(product: Product, seconds: float) -> Plain:
    kind = "linear" if isinstance(product, Linear) else "attention"
    return {"kind": kind, **asdict(product), "seconds": seconds, "flops_per_second": product.flops / seconds}
