"""The rows of the report's tables: figures as the reader sees them."""

from __future__ import annotations

import json
import re
from typing import Any

from markupsafe import Markup, escape

from dllmkit.compare.keys import ABSENT
from dllmkit.compare.table import number, p_value, percent

FRONT = "seconds"  # the front that tables mark


def rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Lay out one row for each contender."""
    contenders = results["contenders"]
    reference = contenders[0]
    low = min(row["accuracy"]["interval"][0] for row in contenders)
    most = max([1, *(max(row["paired"]["only_reference"], row["paired"]["only_this"]) for row in contenders[1:])])
    return [
        {
            "label": _breakable(row["label"]),
            "classes": " ".join(["reference-row"] * (row is reference) + ["on-front"] * row["front"][FRONT]),
            "accuracy": percent(row["accuracy"]["accuracy"]),
            "strip": _strip(row["accuracy"], reference["accuracy"]["accuracy"], low),
            "cells": _cells(row, results["kind"] == "compare"),
            "kinds": [_kind(held, reference["kinds"][kind]) for kind, held in row["kinds"].items()],
            "pair": _pair(row["paired"], most) if row["paired"] else None,
            "hash": row["hash"][:16],
            "overrides": " ".join(row["overrides"]) or "none",
        }
        for row in contenders
    ]


def scale(results: dict[str, Any]) -> str:
    """What the strips of intervals span."""
    low = min(row["accuracy"]["interval"][0] for row in results["contenders"])
    return f"{100 * low:.0f} to 100 %"


def differing(results: dict[str, Any]) -> list[tuple[Markup, list[dict[str, str]]]]:
    """The keys in which recipes differ, and each value; what the reference has too is quiet."""
    return [
        (_breakable(key), [{"text": _value(value), "tint": "same" if value == values[0] else ""} for value in values])
        for key, values in results["differing_keys"].items()
    ]


def _cells(row: dict[str, Any], with_aup: bool) -> list[str]:
    metrics, ratios = row["metrics"], row["ratios"]
    cells = [number(ratios[key], 1) for key in ("seconds", "query_tokens", "attended", "nfe")]
    cells += [number(metrics["nfe"], 0), number(metrics["tpf"], 2), number(metrics["tpf_answer"], 2)]
    cells += [number(metrics["tps"], 0), number(metrics["tps_answer"], 0)]
    return cells + ([number(row["aup"], 0), number(row["aup_answer"], 0)] if with_aup else [])


def _kind(held: dict[str, Any], reference: dict[str, Any]) -> dict[str, str]:
    difference = held["right"] - reference["right"]
    tint = "" if not difference else "better" if difference > 0 else "worse"
    return {"text": percent(held["accuracy"]), "tint": tint}


def _strip(accuracy: dict[str, Any], reference: float, low: float) -> Markup:
    """The interval as a line, the accuracy as a dot, the reference's as a dashed line."""

    def x(share: float) -> str:
        return f"{5 + 122 * (share - low) / (1 - low or 1):.1f}"

    start, stop = accuracy["interval"]
    said = f"{100 * start:.1f} to {100 * stop:.1f} %"
    return Markup(
        '<svg class="strip" viewBox="0 0 132 18" role="img" aria-label="{said}"><title>{said}</title>'
        '<line class="base" x1="{base}" x2="{base}" y1="0" y2="18"/>'
        '<line x1="{start}" x2="{stop}" y1="9" y2="9"/><circle cx="{at}" cy="9" r="4"/></svg>'
    ).format(said=said, base=x(reference), start=x(start), stop=x(stop), at=x(accuracy["accuracy"]))


def _pair(pair: dict[str, Any], most: int) -> dict[str, Any]:
    return {
        "difference": f"{100 * pair['difference']:+.1f}".replace("-", "−"),  # noqa: RUF001
        "split": _split(pair["only_reference"], pair["only_this"], most),
        "both": f"{pair['both']:,}",
        "neither": f"{pair['neither']:,}",
        "p": p_value(pair["p"]),
        "p_holm": p_value(pair["p_holm"]),
    }


def _split(theirs: int, ours: int, most: int) -> Markup:
    """Two bars from the middle: problems that only the reference got right to the left, only this one to the right."""
    unit = 70 / most
    return Markup(
        '<svg class="split" viewBox="0 0 200 18" role="img" aria-label="{theirs} to {ours}">'
        '<rect class="theirs" x="{left:.1f}" y="3" width="{theirs_width:.1f}" height="12"/>'
        '<rect class="ours" x="100" y="3" width="{ours_width:.1f}" height="12"/><line x1="100" x2="100" y1="0" y2="18"/>'
        '<text x="{before:.1f}" y="13" text-anchor="end">{theirs}</text><text x="{behind:.1f}" y="13">{ours}</text></svg>'
    ).format(
        theirs=theirs, ours=ours, left=100 - unit * theirs, theirs_width=unit * theirs, ours_width=unit * ours,
        before=95 - unit * theirs, behind=105 + unit * ours,
    )  # fmt: skip


def _breakable(label: str) -> Markup:
    """Let a narrow column break a label behind its separators."""
    return Markup(re.sub(r"([/_+,.-])", r"\1<wbr>", str(escape(label))))


def _value(value: Any) -> str:
    if value == ABSENT:
        return "–"  # noqa: RUF001
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
