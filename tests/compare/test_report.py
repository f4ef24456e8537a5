"""The report in a real browser: it works without a network, says nothing on the console, and runs nothing that it shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from contests import comparison

from dllmkit.compare.report.embed import explorer_data
from dllmkit.compare.report.page import page, write_report
from dllmkit.evaluation.problem import Problem

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'&<!--"
PROBLEMS = [Problem("p/0", "What is first?", "first", "order"), Problem("p/1", "And second?", "second", "order")]


def seen(path: Path, *options: str) -> tuple[str, str]:
    """Open a page in Chromium; its document after all scripts, and what was written to its console."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}",
        "--enable-logging=stderr", "--virtual-time-budget=2000", *options, "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


class Parsed(HTMLParser):
    """Elements, attributes and texts of a page, as a browser reads them without scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture
def report(tmp_path: Path) -> Path:
    held = comparison({"plain": ["first", "second"], "quick": ["first", "secund"]}, PROBLEMS, nfe=[6, 3])
    return write_report(held, tmp_path)


@browser
def test_it_opens_without_a_word_on_the_console(report: Path) -> None:
    dom, console = seen(report)
    assert console == ""
    assert dom.count('<svg class="chart') == 10  # five axes, two layouts
    explorer = dom[dom.index('id="explorer"') : dom.index("What the recipes set differently")]
    assert "1 of 2 problems" in explorer  # where only one is right
    assert "And second?" in explorer
    assert "<mark>u</mark>" in explorer
    assert "First difference in the text, position 3: plain “o”, step 3 (0.50); quick “u”, step 3 (0.50)." in explorer


@browser
def test_what_a_model_wrote_stays_text(tmp_path: Path) -> None:
    problems = [Problem(HOSTILE, HOSTILE, HOSTILE, HOSTILE), Problem("b", HOSTILE, "x", "other")]
    held = comparison({HOSTILE: [HOSTILE, "x"], "other": ["y", HOSTILE]}, problems)
    held["environments"][0]["platform"] = held["task"]["name"] = HOSTILE
    held["contenders"][0]["overrides"] = [HOSTILE]
    held["differing_keys"][HOSTILE] = [HOSTILE, 1]
    path = write_report(held, tmp_path)
    parsed = Parsed(path.read_text(encoding="utf-8"))
    assert "img" not in parsed.tags
    assert parsed.tags.count("script") == 2  # the data and the page's own
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    dom, console = seen(path)
    assert console == ""
    assert "<title>owned" not in dom
    assert "<img" not in dom
    assert "&lt;img src=x" in dom[dom.index('id="detail"') :]  # it was shown, as text


def test_nothing_is_fetched(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    parsed = Parsed(text)
    assert not {"link", "img", "iframe"} & set(parsed.tags)
    assert not [value for name, value in parsed.attributes if name in ("src", "href")]
    assert not re.search(r"@import|url\(|fetch\(|https?://", text.replace("arXiv", ""))
    assert "default-src 'none'" in text


def test_the_data_reads_back(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    data = json.loads(block)
    assert data["labels"] == ["plain", "quick"]
    assert data["problems"][1]["answers"][1] == data["problems"][1]["answers"][1] | {"text": "secund", "right": False}


def test_a_large_comparison_keeps_what_differs() -> None:
    problems = [Problem(str(i), "Say it " * 20, "x", "all") for i in range(30)]
    held = comparison({"a": ["x"] * 30, "b": ["x"] * 20 + ["y"] + ["x"] * 9}, problems)
    shown = explorer_data(held, budget=5000)["problems"]
    assert 1 < len(shown) < 30
    assert [p["id"] for p in shown] == [*map(str, range(len(shown) - 1)), "20"]
    assert "are shown here" not in page(held)  # these are small


def test_figures_are_on_the_page(report: Path) -> None:
    text = re.sub(r"<wbr>", "", report.read_text(encoding="utf-8"))
    for said in ("100.0 %", "50.0 %", "−50.0", "2.0", "recipes on letters", "not a checkout", "decode.seed"):  # noqa: RUF001
        assert said in text


def test_a_report_that_is_there_is_left(report: Path, tmp_path: Path) -> None:
    held = comparison({"plain": ["first", "second"], "quick": ["first", "second"]}, PROBLEMS)
    before = report.read_bytes()
    write_report(held, tmp_path, unless_there=True)
    assert report.read_bytes() == before
    write_report(held, tmp_path)
    assert report.read_bytes() != before


def test_a_sweep_and_a_single_recipe_can_be_drawn(tmp_path: Path) -> None:
    swept = page(comparison({"tau=1": ["first", "x"], "tau=2": ["first", "x"]}, PROBLEMS, kind="sweep"))
    assert "a grid of 2 points" in swept
    assert "AUP along the grid" in swept
    assert "1 recipes" not in page(comparison({"alone": ["first", "x"]}, PROBLEMS, kind="sweep"))
