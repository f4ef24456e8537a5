"""The tables that `compare` and `sweep` print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """Lay out the figures of all recipes: quality and its price, work and speed, accuracy per kind."""
    task = results["task"]
    yield _quality(results, f"{task['name']}: {task['problems']:,} problems; the first recipe is the reference")
    yield _work(results)
    kinds = list(results["contenders"][0]["kinds"])
    if len(kinds) > 1:
        yield _kinds(results, kinds)


def _quality(results: dict[str, Any], title: str) -> Table:
    table = _table(
        "recipe", "accuracy", "95 %", "difference", "only it : only ref.", "p", "p (Holm)", "AUP", "AUP answer"
    )
    table.title, table.title_justify, table.title_style = title, "left", ""
    for row in results["contenders"]:
        low, high = row["accuracy"]["interval"]
        pair = row["paired"]
        table.add_row(
            Text(row["label"]), percent(row["accuracy"]["accuracy"]), f"{100 * low:.1f} .. {100 * high:.1f}",
            f"{100 * pair['difference']:+.1f}" if pair else "",
            f"{pair['only_this']} : {pair['only_reference']}" if pair else "",
            p_value(pair["p"]) if pair else "", p_value(pair["p_holm"]) if pair else "",
            number(row["aup"], 1), number(row["aup_answer"], 1),
        )  # fmt: skip
    return table


def _work(results: dict[str, Any]) -> Table:
    table = _table(
        "recipe",
        "NFE",
        "÷",
        "query tokens",
        "÷",
        "attended",
        "÷",
        "seconds",
        "÷",
        "TPF",
        "TPF answer",
        "TPS",
        "TPS answer",
    )
    for row in results["contenders"]:
        metrics, ratios = row["metrics"], row["ratios"]
        pairs = [
            cell
            for key, digits in (("nfe", 0), ("query_tokens", 0), ("attended", 0), ("seconds", 1))
            for cell in (number(metrics[key], digits), number(ratios[key], 2))
        ]
        rates = [number(metrics[key], digits) for key, digits in
                 (("tpf", 2), ("tpf_answer", 2), ("tps", 1), ("tps_answer", 1))]  # fmt: skip
        table.add_row(Text(row["label"]), *pairs, *rates)
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
