"""`dllmkit view` as a user meets it, and its figures."""

from __future__ import annotations

import builtins
import json
import sys
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from runs import write_run
from shell import call, python

from dllmkit.observe.trace import Trace
from dllmkit_baseline.quota import Quota


def test_a_run_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """From `dllmkit run --explain` to a page, with nothing but the folder."""
    out = tmp_path / "out"
    run = call(
        capsys, "run", "dawn+dsb", "decode.gen_length=64", "--prompt", "Sort: 4 2 9", "--explain", "--out", str(out)
    )
    assert (run.status, run.err) == (0, "")
    page = out / "view.html"
    assert call(capsys, "view", str(out)) == (shown := call(capsys, "view", str(out), "--no-open"))
    assert (shown.status, shown.out, shown.err) == (0, f"{page}\n", "")
    assert "Sort" in page.read_text()
    (first, *_) = Trace.load(out / "trace.jsonl").of(0)
    assert first.details is not None
    assert {"high", "anchors", "sinks", "independent"} <= first.details.sets.keys()
    again = call(capsys, "run", "dawn+dsb", "decode.gen_length=64", "--prompt", "Sort: 4 2 9", "--out", str(out))
    assert again.status == 0  # the page in the folder is in nobody's way


def test_explaining_changes_neither_tokens_nor_forwards(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    results = []
    for more in ((), ("--explain",)):
        out = tmp_path / f"out{len(more)}"
        call(capsys, "run", "dawn+dsb", "decode.gen_length=64", "--prompt", "Sort: 4 2 9", "--out", str(out), *more)
        record = json.loads((out / "results.jsonl").read_text())
        results.append({key: value for key, value in record.items() if "seconds" not in key})
    assert results[0] == results[1]


def test_explaining_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = call(capsys, "run", "dawn+dsb", "--explain", "--prompt", "Sort: 4 2 9")
    assert outcome.status == 2
    assert outcome.err == "error: --explain writes into the trace of a run folder: add --out DIR\n"


def test_two_runs_and_a_row_into_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = [str(write_run(tmp_path / name, [[1, 2], [3, 4]])) for name in "ab"]
    out = tmp_path / "new" / "two.html"
    outcome = call(capsys, "view", *runs, "--row", "1", "--out", str(out))
    assert (outcome.status, outcome.out) == (0, f"{out}\n")
    assert "<title>a and b · dllmkit view</title>" in out.read_text()
    assert not (tmp_path / "a" / "view.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("RUN", "--row", "7"), "RUN has no row 7; it has 0, 1"),
        (("RUN", "RUN", "RUN"), "3 runs given, expected one, or two to be shown side by side"),
        (("nowhere",), "nowhere does not exist: give a folder that `dllmkit run RECIPE --out DIR` wrote"),
        (("RUN", "--out", "RUN/trace.jsonl/view.html"), "RUN/trace.jsonl/view.html cannot be written: File exists"),
        (("RUN", "--png", "RUN/trace.jsonl"), "RUN/trace.jsonl cannot be written: File exists"),
    ],
)
def test_mistakes_are_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    pytest.importorskip("matplotlib")
    run = str(write_run(tmp_path / "run", [[1, 2], [3, 4]]))
    outcome = call(capsys, "view", *(argument.replace("RUN", run) for argument in arguments))
    assert (outcome.status, outcome.err.replace(run, "RUN")) == (2, f"error: {said}\n")


def test_the_browser_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or len(opened) < 2)
    run = write_run(tmp_path / "run")
    assert call(capsys, "view", str(run)).status == 0
    assert opened == []  # standard output is no terminal
    assert call(capsys, "view", str(run), "--open").status == 0
    assert opened == [(run / "view.html").as_uri()]
    outcome = call(capsys, "view", str(run), "--open")
    assert (outcome.status, outcome.err) == (2, f"error: no browser was found: open {run / 'view.html'} in one\n")


def test_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = write_run(tmp_path / "a", [[1, 2], [3, 4]])
    other = write_run(tmp_path / "b", [[1, 2], [3, 4]], unmask_selector=Quota(24))
    folder = tmp_path / "figures"
    outcome = call(capsys, "view", str(run), str(other), "--row", "1", "--png", str(folder))
    names = ("commit-order", "tokens-per-step", "confidence")
    figures = [folder / f"{name}.png" for name in names]
    assert outcome.out.splitlines() == [str(run / "view.html"), *map(str, figures)]
    for figure in figures:
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_figures_show_what_was_recorded(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    from dllmkit.view import figures

    steps = Trace.load(write_run(tmp_path / "a") / "trace.jsonl").of(0)
    figure = matplotlib.Figure()
    figures.commit_order(figure, [("a", steps)])
    heat = figure.axes[0].images[1].get_array()
    for step in steps:
        line = heat[step.step]
        assert [p for p in range(len(line)) if line.mask[p] == False] == step.chosen.tolist()  # noqa: E712
        assert line[step.chosen].tolist() == step.confidence.tolist()
    figure = matplotlib.Figure()
    figures.tokens(figure, [("a", steps)])
    assert figure.axes[0].lines[0].get_ydata().tolist() == [len(step.chosen) for step in steps]
    figure = matplotlib.Figure()
    figures.confidence(figure, [("a", steps)])
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == sum(len(step.chosen) for step in steps)


def test_without_matplotlib(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    run = write_run(tmp_path / "run")
    outcome = call(capsys, "view", str(run), "--png", str(tmp_path / "figures"))
    assert (outcome.status, outcome.err) == (2, "error: --png needs matplotlib: pip install 'dllmkit[plot]'\n")
    assert (run / "view.html").exists()  # the page does not need it


def test_it_needs_no_torch(tmp_path: Path) -> None:
    """A run folder is shown where the model could not even be loaded."""
    run = write_run(tmp_path / "run")
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        f"from dllmkit.cli.view import view; view([{str(run)!r}], show=False)"
    )
    outcome = python("-c", script)
    assert (outcome.status, outcome.out) == (0, f"{run / 'view.html'}\n"), outcome.err
