"""The tables that the commands print."""

from __future__ import annotations

import io

from contests import comparison
from rich.console import Console

from dllmkit.compare.table import tables
from dllmkit.evaluation.problem import Problem


def printed(results, width: int = 80) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    for table in tables(results):
        console.print(table)
    return out.getvalue().splitlines()


def test_they_fit_a_terminal() -> None:
    problems = [Problem(str(i), "x", "x", f"kind {i % 2}") for i in range(4)]
    labels = {"fast_dllm/tiny-dual_cache": ["x"] * 4, "other": ["x", "x", "y", "x"]}
    lines = printed(comparison(labels, problems, nfe=[10**6, 10**5]))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    assert lines[0].rstrip() == "letters: 4 problems; the first recipe is the reference"
    (row,) = [line.split() for line in lines if line.startswith("other") and " : " in line]
    assert row == "other 75.0 % 30.1 .. 95.4 -25.0 0 : 1 1.000 1.000".split()
    for name in ("NFE", "query tokens", "attended", "seconds", "TPF", "TPS", "AUP", "kind 0", "kind 1"):
        assert name in text


def test_names_are_no_markup() -> None:
    problems = [Problem("0", "x", "x", "[red]\x1b[31m"), Problem("1", "x", "x", "all")]
    text = "\n".join(printed(comparison({"[bold]a": ["x", "x"], "b": ["x", "x"]}, problems)))
    assert "[bold]a" in text
    assert "[red]" in text
    assert "\x1b" not in text


def test_a_sweep_has_its_aup_below() -> None:
    lines = printed(comparison({"tau=1": ["x"], "tau=2": ["x"]}, [Problem("0", "x", "x", "all")], kind="sweep"))
    assert lines[-1].startswith("AUP along the grid: ")
    assert not any("AUP" in line for line in lines[:-1])
