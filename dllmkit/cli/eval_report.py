"""The summary of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dllmkit.observe.live import printable

NOT_MEASURED = "not measured"


def report(summary: dict[str, Any], console: Console) -> None:
    """Print accuracies, metrics with their definitions, published figures, and what identifies the run."""
    task = summary["task"]
    title = f"{summary['recipe_source']} {summary['recipe_hash'][:12]} on {task['name']}: {task['problems']} problems"
    console.print(Text(printable(title), "bold"), soft_wrap=True)
    console.print(accuracy_table(summary["accuracy"]))
    console.print(metrics_lines(summary["metrics"], summary["definitions"]))
    for line in published_lines(summary):
        console.print(Text(printable(line)), soft_wrap=True)
    environment = summary["environment"]
    where = f"{environment['device']}, {environment['dtype']}, {environment['threads']} threads"
    digest = f"task {task['digest'][:12]}, matcher {task['matcher']}"
    times = f"processes {summary['processes']}, sessions {summary['sessions']}"
    console.print(Text(printable(f"{digest}; {where}; {times}"), "dim"), soft_wrap=True)


def accuracy_table(scores: dict[str, dict[str, Any]]) -> Table:
    """Accuracy with its interval, in all and of each kind."""
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "accuracy", "95 % interval", "right", "nfe", "tpf_answer"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind, score in [*((k, s) for k, s in scores.items() if k != "all"), ("all", scores["all"])]:
        interval = score["interval"]
        table.add_row(
            Text(printable(kind)),
            percent(score["accuracy"]),
            NOT_MEASURED if interval is None else f"{interval[0]:.1%} to {interval[1]:.1%}",
            f"{score['right']}/{score['problems']}",
            f"{score['nfe']:,}",
            number(score["tpf_answer"]),
        )
    return table


def metrics_lines(metrics: dict[str, Any], definitions: dict[str, str]) -> Table:
    """Each metric with its definition."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in metrics.items():
        table.add_row(name, number(value), Text(definitions.get(name, ""), "dim"))
    return table


def published_lines(summary: dict[str, Any]) -> Iterator[str]:
    """What the authors report, beside ours."""
    figures = summary["published"]
    if figures is None:
        yield "published: the recipe states no figures of its authors"
        return
    ours = summary["metrics"]
    yield f"published: {figures['source']}; {figures['harness']}; {figures['device']}"
    speeds = f"{number(ours['tps'])} (tps), {number(ours['tps_answer'])} (tps_answer)"
    for name, theirs, mine in (
        ("accuracy", percent(figures["accuracy"]), percent(ours["accuracy"])),
        ("tokens per second", number(figures["tps"]), speeds),
        ("speed-up over vanilla", number(figures["speedup"]), NOT_MEASURED),
    ):
        yield f"  {name}: theirs {theirs}, ours on {summary['task']['name']} {mine}"
    vanilla = (figures["vanilla_accuracy"], figures["vanilla_tps"])
    if vanilla != (None, None):
        yield f"  their vanilla decoding: accuracy {percent(vanilla[0])}, tokens per second {number(vanilla[1])}"
    if figures["note"]:
        yield f"  note: {figures['note']}"
    if figures["changed"]:
        yield f"  overrides changed what is decoded, so this is another run than theirs: {', '.join(figures['changed'])}"


def percent(share: float | None) -> str:
    """A share as percent."""
    return NOT_MEASURED if share is None else f"{share:.1%}"


def number(value: float | None) -> str:
    """A figure, or that there is none."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
