"""The tables that `compare` and `sweep` print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text


def tables(results: dict[str, Any]) -> Iterator[Table | Text]:
    """Lay out the figures of all recipes: quality and its price, work and speed, accuracy per kind."""
    yield _quality(results)
    yield _work(results)
    kinds = list(results["contenders"][0]["kinds"])
    if len(kinds) > 1:
        yield _kinds(results, kinds)
    if results["curve"] is not None:
        yield Text(curve(results["curve"]))


def curve(held: dict[str, float | None]) -> str:
    """Say the AUP of a sweep."""
    return f"AUP along the grid: {number(held['aup'], 1)} over tpf, {number(held['aup_answer'], 1)} over tpf_answer"


def _quality(results: dict[str, Any]) -> Table:
    single = results["curve"] is None
    aup = ("AUP", "AUP answer") if single else ()
    table = _table(_first(results), "accuracy", "95 %", "difference", "only it : only ref.", "p", "p (Holm)", *aup)
    task = results["task"]
    table.title = f"{task['name']}: {task['problems']:,} problems; the first {_first(results)} is the reference"
    table.title_justify, table.title_style = "left", ""
    for row in results["contenders"]:
        low, high = row["accuracy"]["interval"]
        cells = [percent(row["accuracy"]["accuracy"]), f"{100 * low:.1f} .. {100 * high:.1f}", *_paired(row["paired"])]
        cells += [number(row["aup"], 1), number(row["aup_answer"], 1)] if single else []
        table.add_row(Text(row["label"]), *cells)
    return table


def _paired(pair: dict[str, Any] | None) -> list[str]:
    if pair is None:
        return [""] * 4
    split = f"{pair['only_this']} : {pair['only_reference']}"
    return [f"{100 * pair['difference']:+.1f}", split, p_value(pair["p"]), p_value(pair["p_holm"])]


def _first(results: dict[str, Any]) -> str:
    return "recipe" if results["kind"] == "compare" else "grid point"


def _work(results: dict[str, Any]) -> Table:
    work = ("NFE", "÷", "query tokens", "÷", "attended", "÷", "seconds", "÷")
    table = _table(_first(results), *work, "TPF", "TPF answer", "TPS", "TPS answer")
    for row in results["contenders"]:
        metrics, ratios = row["metrics"], row["ratios"]
        cells = []
        for key, digits in (("nfe", 0), ("query_tokens", 0), ("attended", 0), ("seconds", 1)):
            cells += [number(metrics[key], digits), number(ratios[key], 2)]
        for key, digits in (("tpf", 2), ("tpf_answer", 2), ("tps", 1), ("tps_answer", 1)):
            cells.append(number(metrics[key], digits))
        table.add_row(Text(row["label"]), *cells)
    return table


def _kinds(results: dict[str, Any], kinds: list[str]) -> Table:
    table = _table("accuracy by kind", *kinds)
    for row in results["contenders"]:
        table.add_row(Text(row["label"]), *(percent(row["kinds"][kind]["accuracy"]) for kind in kinds))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def percent(share: float | None) -> str:
    """Write a share as a percentage."""
    return "not measured" if share is None else f"{100 * share:.1f} %"


def number(value: float | None, digits: int) -> str:
    """Write a figure; what was not measured or has no meaning here is a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def p_value(p: float) -> str:
    """Write a probability, small ones as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
