"""The report in a real browser: it works without a network, says nothing on the console, and runs nothing that it shows."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import chromium
from contests import comparison

from dllmkit.compare.report.embed import explorer_data
from dllmkit.compare.report.page import page, write_report
from dllmkit.evaluation.problem import Problem

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'&<!--"
PROBLEMS = [Problem("p/0", "What is first?", "first", "order"), Problem("p/1", "And second?", "second", "order")]


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


def test_it_opens_without_a_word_on_the_console(report: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        page_ = browser.open(report.as_uri())
        assert page_.value("document.querySelectorAll('svg.chart').length") == 10  # five axes, two layouts
        assert page_.value("document.getElementById('count').textContent") == "1 of 2 problems"  # where one is right
        assert "And second?" in page_.value("document.getElementById('detail').textContent")
        assert page_.value("[...document.querySelectorAll('mark')].map(m => m.textContent)") == ["o", "u"]
        first = "First difference in the text, position 3: plain “o”, step 3 (0.50); quick “u”, step 3 (0.50)."
        assert first in page_.value("document.getElementById('detail').textContent")
        assert page_.problems() == []


def test_its_controls(report: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        page_ = browser.open(report.as_uri())
        page_.value(
            "const f = document.getElementById('filter'); f.value = 'all'; f.dispatchEvent(new Event('change'))"
        )
        assert page_.value("document.querySelectorAll('#list button').length") == 2
        page_.click("#list button")
        assert "The answers are the same, token for token." in page_.value(
            "document.getElementById('detail').textContent"
        )
        before = page_.value("getComputedStyle(document.documentElement).backgroundColor")
        page_.click("#theme")
        assert page_.value("getComputedStyle(document.documentElement).backgroundColor") != before
        shown = "[...document.querySelectorAll('.panel')].map(p => getComputedStyle(p).display)"
        assert page_.value(shown) == ["block", "none", "none", "none", "none"]
        page_.click(".tabs label[for=axis-4]")
        assert page_.value(shown) == ["none", "none", "none", "block", "none"]
        assert page_.problems() == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_sticks_out_of_the_window(tmp_path: Path, width: int) -> None:
    labels = {f"method_{i}/with-a-long-name.of-{10**9}": ["first", "x" * 300] for i in range(9)}
    path = write_report(comparison(labels, PROBLEMS, nfe=range(20, 2, -2)), tmp_path)
    with chromium(tmp_path / "profile") as browser:
        page_ = browser.open(path.as_uri(), width)
        assert page_.value("innerWidth") == width
        assert page_.value("document.documentElement.scrollWidth") <= width
        visible = "[...document.querySelectorAll('.panel svg')].filter(s => s.getBoundingClientRect().width).length"
        assert page_.value(visible) == 1
        # measured as they are drawn: labels of the chart lie within it and do not touch one another
        boxes = page_.value(
            "(() => { const svg = [...document.querySelectorAll('.panel svg')].find(s => s.getBoundingClientRect().width);"
            "return [svg, ...svg.querySelectorAll('.label')].map(e => { const r = e.getBoundingClientRect();"
            "return [r.left, r.top, r.right, r.bottom]; }); })()"
        )
        chart, *named = boxes
        assert len(named) == 9
        for i, (left, top, right, bottom) in enumerate(named):
            assert chart[0] <= left < right <= chart[2] + 1
            assert chart[1] <= top < bottom <= chart[3]
            for other in named[:i]:
                assert right <= other[0] or other[2] <= left or bottom <= other[1] + 4 or other[3] <= top + 4


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
    with chromium(tmp_path / "profile") as browser:
        page_ = browser.open(path.as_uri())
        assert page_.value("document.title") == f"2 recipes on {HOSTILE}"
        assert page_.value("document.images.length") == 0
        assert page_.value("document.scripts.length") == 2
        assert HOSTILE in page_.value("document.getElementById('detail').textContent")  # it was shown, as text
        assert page_.problems() == []


def test_nothing_is_fetched(report: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        assert browser.open(report.as_uri()).requests() == [report.as_uri()]
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
    problem = data["problems"][1]
    assert problem["texts"] == ["second", "secund"]
    assert [(one["text"], one["right"]) for one in problem["answers"]] == [(0, True), (1, False)]


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
