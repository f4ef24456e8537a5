"""The tables that `compare` and `sweep` print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from dllmkit.observe.live import printable


def tables(results: dict[str, Any]) -> Iterator[Table | Text]:
    """Lay out the figures of all recipes: quality, work, speed, accuracy per kind; each fits a terminal of 80 columns."""
    yield _quality(results)
    yield _work(results)
    yield _speed(results)
    kinds = list(results["contenders"][0]["kinds"])
    if len(kinds) > 1:
        yield _kinds(results, kinds)
    if results["curve"] is not None:
        yield Text(curve(results["curve"]))


def curve(held: dict[str, float | None]) -> str:
    """Say the AUP of a sweep."""
    return f"AUP along the grid: {number(held['aup'], 1)} over tpf, {number(held['aup_answer'], 1)} over tpf_answer"


def _quality(results: dict[str, Any]) -> Table:
    table = _table(_first(results), "accuracy", "95 %", "diff.", "won : lost", "p", "p (Holm)")
    task = results["task"]
    said = f"{task['name']}: {task['problems']:,} problems; the first {_first(results)} is the reference"
    table.title = _text(said)
    table.title_justify, table.title_style = "left", ""
    for row in results["contenders"]:
        low, high = row["accuracy"]["interval"]
        cells = [percent(row["accuracy"]["accuracy"]), f"{100 * low:.1f} .. {100 * high:.1f}"]
        if (pair := row["paired"]) is not None:
            cells += [f"{100 * pair['difference']:+.1f}", f"{pair['only_this']} : {pair['only_reference']}"]
            cells += [p_value(pair["p"]), p_value(pair["p_holm"])]
        table.add_row(_text(row["label"]), *cells)
    return table


def _first(results: dict[str, Any]) -> str:
    return "recipe" if results["kind"] == "compare" else "grid point"


def _work(results: dict[str, Any]) -> Table:
    table = _table(_first(results), "NFE", "÷", "query tokens", "÷", "attended", "÷")
    for row in results["contenders"]:
        cells = []
        for key in ("nfe", "query_tokens", "attended"):
            cells += [number(row["metrics"][key], 0), number(row["ratios"][key], 2)]
        table.add_row(_text(row["label"]), *cells)
    return table


def _speed(results: dict[str, Any]) -> Table:
    aups = ("aup", "aup_answer") if results["curve"] is None else ()
    names = ("seconds", "÷", "TPF", "answer", "TPS", "answer", *(("AUP", "answer") if aups else ()))
    table = _table(_first(results), *names)
    for row in results["contenders"]:
        metrics = row["metrics"]
        cells = [number(metrics["seconds"], 1), number(row["ratios"]["seconds"], 2)]
        cells += [number(metrics[key], 2) for key in ("tpf", "tpf_answer")]
        cells += [number(metrics[key], 0) for key in ("tps", "tps_answer")]
        table.add_row(_text(row["label"]), *cells, *(number(row[key], 0) for key in aups))
    return table


def _kinds(results: dict[str, Any], kinds: list[str]) -> Table:
    table = _table("accuracy by kind", *kinds)
    for row in results["contenders"]:
        table.add_row(_text(row["label"]), *(percent(row["kinds"][kind]["accuracy"]) for kind in kinds))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(_text(name), justify="right", no_wrap=True)
    return table


def _text(said: str) -> Text:
    """What came from a recipe or a task, as it is: no markup, no control characters."""
    return Text(printable(said))


def percent(share: float | None) -> str:
    """Write a share as a percentage."""
    return "not measured" if share is None else f"{100 * share:.1f} %"


def number(value: float | None, digits: int) -> str:
    """Write a figure; what was not measured or has no meaning here is a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def p_value(p: float) -> str:
    """Write a probability, small ones as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
