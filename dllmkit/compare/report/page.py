"""The report as a page: everything in one file, nothing fetched, nothing of a model or a prompt taken for markup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dllmkit.compare.figures import DEFINITIONS
from dllmkit.compare.folder import REPORT
from dllmkit.compare.report.chart import NAMES, NARROW, WIDE, Point, chart
from dllmkit.compare.report.embed import explorer_data
from dllmkit.compare.report.rows import differing, rows, scale
from dllmkit.compare.table import curve, number, p_value, percent
from dllmkit.journal import write_atomically, writing
from dllmkit.observe.metrics import DEFINITIONS as METRICS

AXES = (
    ("time", "seconds", "times as fast as the reference", "Decode wall time of the reference divided by this one's."),
    ("query tokens", "query_tokens", "times fewer query tokens than the reference", METRICS["query_tokens"]),
    ("forwards", "nfe", "times fewer forwards than the reference", METRICS["nfe"]),
    ("TPF", "tpf", "tokens per forward", METRICS["tpf"] + "; tokens: " + METRICS["tokens"]),
    (
        "TPF answer", "tpf_answer", "answer tokens per forward",
        METRICS["tpf_answer"] + "; answer_tokens: " + METRICS["answer_tokens"],
    ),
)  # fmt: skip


def write_report(results: dict[str, Any], folder: Path, *, unless_there: bool = False) -> Path:
    """Write the report of results into their folder and return its path; `unless_there` leaves one that exists."""
    path = folder / REPORT
    if not (unless_there and path.exists()):
        with writing(folder):
            write_atomically(path, page(results))
    return path


def page(results: dict[str, Any]) -> str:
    """Render the report of a comparison or a sweep."""
    here = files("dllmkit.compare.report")
    texts = {name: (here / name).read_text(encoding="utf-8") for name in ("page.html", "style.css", "page.js")}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    script = texts["page.js"]
    data = explorer_data(results)
    single = results["kind"] == "compare"
    return environment.from_string(texts["page.html"]).render(
        title=_title(results), lead=_lead(results), style=Markup(texts["style.css"]), script=Markup(script),
        script_hash=_hash(script), data=data_block(environment, data), left_out=_left_out(results, data),
        unit="recipe" if single else "grid point", with_aup=single, curve=None if single else curve(results["curve"]),
        rows=rows(results), scale=scale(results), charts=list(_charts(results)), n=results["task"]["problems"],
        numbered=len(results["contenders"]) > NAMES,
        conditions=_conditions(results), kinds=_kinds(results), differing=differing(results),
        provenance=list(_provenance(results)), definitions=[*DEFINITIONS.items(), *METRICS.items()],
    )  # fmt: skip


def data_block(environment: Environment, data: Any) -> Markup:
    """Write data for a script element: jinja's tojson leaves no <, >, & or ' in it."""
    return Markup(environment.from_string("{{ data|tojson }}").render(data=data))


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _title(results: dict[str, Any]) -> str:
    n, task = len(results["contenders"]), results["task"]["name"]
    if results["kind"] == "compare":
        return f"{n} recipes on {task}"
    return f"{results['contenders'][0]['recipe']}: a grid of {n} points on {task}"


def _lead(results: dict[str, Any]) -> str:
    """The fastest against the reference, with what it costs."""
    reference, *others = results["contenders"]
    measured = [row for row in others if row["ratios"]["seconds"]]
    fastest = max(measured, key=lambda row: row["ratios"]["seconds"], default=None)
    problems = f"Problems: {results['task']['problems']:,}."
    if fastest is None or fastest["ratios"]["seconds"] <= 1:
        return f"{problems} Nothing is faster than the reference, {reference['label']}."
    pair, ratios, name = fastest["paired"], fastest["ratios"], fastest["label"]
    p = p_value(pair["p"])
    return (
        f"{problems} The fastest, {name}, decodes {number(ratios['seconds'], 1)} times as fast as {reference['label']}, "
        f"recomputing {100 / ratios['query_tokens']:.1f} % of the tokens. Its accuracy is "
        f"{percent(fastest['accuracy']['accuracy'])}, the reference's {percent(reference['accuracy']['accuracy'])} "
        f"(right with the reference only: {pair['only_reference']}, with {name} only: {pair['only_this']}; "
        f"exact McNemar p {p if p.startswith('<') else '= ' + p})."
    )


def _charts(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A chart for each axis that was measured for all."""
    for name, key, title, note in AXES:
        points = []
        for number_, row in enumerate(results["contenders"], 1):
            x = {**row["metrics"], **row["ratios"]}[key]
            if not x:
                break
            accuracy, (low, high) = row["accuracy"]["accuracy"], row["accuracy"]["interval"]
            points.append(Point(number_, row["label"], x, 100 * accuracy, 100 * low, 100 * high, row["front"][key]))
        else:
            drawn = {layout.name: Markup(chart(points, title, layout)) for layout in (WIDE, NARROW)}
            yield {"name": name, "note": note, **drawn}


def _conditions(results: dict[str, Any]) -> str:
    """What a reader must know about the times."""
    if results["interleaved"]:
        return (
            "Recipes took turns on slices of the problems, in one process; each was warmed up before its clock started."
        )
    unaffected = "counts of forwards and tokens are not affected."
    if results["workers"] > 1:
        return (
            f"Up to {results['workers']} jobs ran at the same time and may have slowed one another down; {unaffected}"
        )
    return f"Jobs ran one after another, so times include whatever else the machine did meanwhile; {unaffected}"


def _kinds(results: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = results["contenders"][0]["kinds"]
    return [{"name": name, "problems": held["problems"]} for name, held in kinds.items()] if len(kinds) > 1 else []


def _left_out(results: dict[str, Any], data: dict[str, Any]) -> str | None:
    shown, there = len(data["problems"]), len(results["problems"])
    if shown == there:
        return None
    return f"{shown:,} of {there:,} problems are shown here, those with different verdicts first; results.json has all."


def _provenance(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    task, environments = results["task"], results["environments"]
    yield (
        "task",
        f"{task['name']}, {task['problems']:,} problems, matcher {task['matcher']}, digest {task['digest'][:16]}",
    )
    for number_, found in enumerate(environments, 1):
        suffix = f" {number_}" if len(environments) > 1 else ""
        versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in found["versions"].items())
        yield f"commit{suffix}", str(found["git_commit"] or "not a checkout")
        yield (
            f"device{suffix}",
            ", ".join(str(found[key]) for key in ("device", "gpu", "dtype") if found.get(key) is not None),
        )
        yield f"machine{suffix}", f"{found['platform']}, {found['cpu_count']} CPUs, {found['threads']} threads"
        yield f"versions{suffix}", f"python {found['python']}, {versions}"
        yield f"weights{suffix}", str(found.get("weights", "not recorded"))
