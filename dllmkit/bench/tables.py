"""A benchmark's document as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from dllmkit.bench.clock import DEVICE

Plain = dict[str, Any]
UNKNOWN = "-"


def heading(document: Plain) -> str:
    """Say in a line what was run, and where."""
    settings, where, first = document["settings"], document["environment"], document["recipes"][0]
    weights = f"random weights, shape {settings['shape']}" if settings["shape"] else first["recipe"]["model"]["path"]
    lengths = sorted(set(first["prompt_lengths"]))
    tokens = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    rounds = len(first["seconds"]["repeats"])
    n, runtime = len(first["prompt_lengths"]), first["recipe"]["runtime"]
    parts = [
        f"{weights} ({first['parameters'] / 1e6:,.1f} M parameters)",
        f"{first['dtype']} on {where['gpu'] if first['device'].startswith('cuda') else 'CPU'}",
        f"{where['threads']} thread{'s' if where['threads'] > 1 else ''}",
        f"{n} prompt{'s' if n > 1 else ''} of {tokens} tokens, {first['recipe']['decode']['gen_length']} to generate",
        f"batch {runtime['batch_size']}",
        f"{rounds} round{'s' if rounds > 1 else ''} after {len(first['warmup_seconds'])} of warm-up",
    ]
    if settings["commit_schedule"] is not None:
        parts.append(f"commit schedule {settings['commit_schedule']}")
    return "; ".join(parts)


def disturbance(document: Plain) -> str | None:
    """Say that other programs had the processor, if they had it for more than a tenth of the time; None if not."""
    recipes = [one for one in document["recipes"] if one["device"] == "cpu"]
    seconds = sum(one["seconds"]["median"] for one in recipes)
    lost = seconds - sum(one["cpu_seconds"]["median"] for one in recipes)
    if lost <= seconds / 10:
        return None
    return f"other programs had the processor for {100 * lost / seconds:.0f} % of the time: read `best`, not `ratio`"


def tables(document: Plain) -> Iterator[Table]:
    """Lay a document out: times, work, distance from the limit, and where the time goes."""
    recipes = document["recipes"]
    yield _times(recipes)
    yield _work(recipes)
    yield _limits(recipes)
    yield _shares(recipes)


def _times(recipes: list[Plain]) -> Table:
    table = _table("Time", "seconds", "min", "max", "speed-up", "tokens/s", "answer/s", "first call")
    for one in recipes:
        seconds, metrics = one["seconds"], one["metrics"]
        table.add_row(
            one["name"], _seconds(seconds["median"]), _seconds(seconds["min"]), _seconds(seconds["max"]),
            _number(one["time_ratio"]["median"]), _number(metrics["tps"], 1), _number(metrics["tps_answer"], 1),
            _seconds(one["first_call_seconds"]),
        )  # fmt: skip
    return table


def _work(recipes: list[Plain]) -> Table:
    table = _table("Work", "nfe", "tpf", "query tokens", "attended", "GFLOP", "GFLOP/s", "peak GiB")
    for one in recipes:
        m = one["metrics"]
        table.add_row(
            one["name"], f"{m['nfe']:,}", _number(m["tpf"]), f"{m['query_tokens']:,}", f"{m['attended']:,}",
            _number(m["flops"] / 1e9), _number(m["flops_per_second"] / 1e9, 1), _number(m["peak_bytes"], 1, 2**30),
        )  # fmt: skip
    return table


def _limits(recipes: list[Plain]) -> Table:
    names = ("kind", "n", "query", "forward", "limit", "ratio", "best", "step", "ratio", "best")
    table = _table("Beside the limit of this machine, ms each", *names)
    for one in recipes:
        for kind, f in one["forwards"].items():
            numbers = ("forward_ms", "limit_ms", "forward_over_limit", "forward_over_limit_best")
            steps = ("step_ms", "step_over_limit", "step_over_limit_best")
            row = [_number(f[name]) for name in (*numbers, *steps)]
            table.add_row(one["name"], kind, f"{f['count']:,}", _number(f["query_tokens"], 0), *row)
    return table


def _shares(recipes: list[Plain]) -> Table:
    """Parts that no recipe has (compiled steps, or what they consist of) get no column; host in detail is in the JSON."""
    kinds = [(one["name"], kind, share) for one in recipes for kind, share in one["shares"].items()]
    shown = [part for part in (*DEVICE, "host") if any(share[part] is not None for _, _, share in kinds)]
    table = _table("Shares of the time, %", "kind", "of all", *shown)
    for name, kind, share in kinds:
        table.add_row(name, kind, *[_number(share[part], 1, 0.01) for part in ("of_all", *shown)])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("recipe", overflow="fold")
    for name in columns:
        table.add_column(name, justify="left" if name == "kind" else "right")
    return table


def _number(value: float | None, digits: int = 2, unit: float = 1.0) -> str:
    return UNKNOWN if value is None else f"{value / unit:,.{digits}f}"


def _seconds(value: float) -> str:
    return f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
