"""The page in a real browser: what a reader sees after each step, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Page, chromium
from runs import HOSTILE, write_run

from dllmkit.observe.trace import Trace
from dllmkit.view.page import render
from dllmkit.view.runs import ViewedRun
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.quota import Quota
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock
from dllmkit_streaming.suffix_window import SuffixWindow

PROMPTS = [[1, 2, 3], [4, 5, 6, 7]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def dawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(
        tmp_path_factory.mktemp("runs") / "dawn+dsb", PROMPTS, gen_length=32, block_scheduler=SlidingBlock(6, None),
        cache_policy=DsbCache(2, refresh_every_commits=8), context_window=SuffixWindow(8), stop_rules=(Eos(),),
        texts=lambda token: f" w{token}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def quota(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(
        tmp_path_factory.mktemp("runs") / "baseline", PROMPTS, gen_length=32, unmask_selector=Quota(32), details=False
    )


def written(folder: Path, *runs: Path) -> str:
    """The address of the page of runs."""
    path = folder / "view.html"
    path.write_text(render([ViewedRun.open(run) for run in runs]), encoding="utf-8")
    return path.as_uri()


def at(page: Page) -> tuple[str, str]:
    """The slider's place and what is said of it."""
    return tuple(page.value("[slider.value, document.getElementById('status').textContent]"))


def slide(page: Page, notch: int) -> None:
    page.value(f"slider.value = {notch}; slider.dispatchEvent(new Event('input'))")


def shown(page: Page, panel: int = 0) -> list[str]:
    """The tokens in the cells of a panel."""
    cells = f"document.querySelectorAll('.run')[{panel}].querySelectorAll('.cell .token')"
    return page.value(f"[...{cells}].map((cell) => cell.textContent)")  # type: ignore[no-any-return]


def positions(page: Page, kind: str) -> list[int]:
    cells = f"document.querySelectorAll('.run:first-child .cell.{kind}')"
    return page.value(f"[...{cells}].map((cell) => Number(cell.dataset.position))")  # type: ignore[no-any-return]


def test_every_step_is_as_recorded(browser: Browser, dawn: Path, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dawn))
    trace = Trace.load(dawn / "trace.jsonl")
    steps, canvases = trace.of(0), list(trace.replay(0))
    n, total = len(steps), 0
    assert at(page) == (str(n), f"after forward {n} of {n}")
    for state in range(n + 1):
        slide(page, state)
        canvas = canvases[-1] if state == n else canvases[state]
        texts = shown(page)
        for position, token in enumerate(canvas.tolist()):
            if token == 22:
                assert texts[position] == "∎"
            elif token != 23:
                assert texts[position] == f"w{token}"
        if state == 0:
            assert positions(page, "new") == []
            continue
        step = steps[state - 1]
        total += len(step.query)
        last = positions(page, "fill") if state == n else []
        assert positions(page, "new") == [p for p in step.chosen.tolist() if p not in last]
        assert positions(page, "query") == step.query.tolist()
        assert positions(page, "seen") == step.visible.tolist()
        assert positions(page, "eligible") == step.eligible.tolist()
        assert positions(page, "block") == list(range(*step.block))
        hidden = sorted(set(range(len(canvas))) - set(step.visible.tolist()))
        assert positions(page, "hidden") == hidden
        meters = page.value(
            "[...document.querySelectorAll('.meter')].map((m) => Number(m.getAttribute('aria-valuenow')))"
        )
        assert meters[:2] == [state, total]
        assert ("refresh" in page.value("document.querySelector('.now').textContent")) == step.refresh
        assert step.details is not None
        counts = page.value(
            "Object.fromEntries([...document.querySelectorAll('.lanes button')]"
            ".map((b) => [b.dataset.set, Number(b.querySelector('b').textContent)]))"
        )
        sets: dict[str, Any] = {"visible": step.visible, "query": step.query, **step.details.sets}
        assert {name: counts[name] for name in sets} == {name: len(found) for name, found in sets.items()}
        arcs = page.value("document.querySelectorAll('.arcs path').length")
        assert arcs == len(step.details.edges["depends"].source)
    refreshes = [step.step for step in steps if step.refresh]
    assert 1 < len(refreshes) < n
    ticks = page.value("[...document.querySelectorAll('#ticks i')].map((i) => i.title)")
    assert ticks == [f"refresh in step {number}" for number in refreshes]
    assert page.problems() == []
    assert page.requests() == [(tmp_path / "view.html").as_uri()]


def test_the_keyboard(browser: Browser, dawn: Path, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dawn))
    n = int(at(page)[0])
    for key, expected in [
        ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", n),
        ("ArrowRight", n), ("ArrowLeft", n - 1),
    ]:  # fmt: skip
        page.press(key)
        assert at(page)[0] == str(expected), key
    page.value("slider.focus()")  # where the browser has ideas of its own about these keys
    page.press("Home")
    page.press("ArrowRight")
    assert at(page)[0] == "1"
    page.value("document.getElementById('speed').value = '40'; document.activeElement.blur()")
    page.press(" ")
    page.wait(f"slider.value === '{n}' && !document.querySelector('.playing')")
    page.press(" ")  # from the start again
    page.wait("document.querySelector('[data-do=play]').getAttribute('aria-label') === 'Pause'")
    page.press(" ")
    assert page.value("document.querySelector('[data-do=play]').getAttribute('aria-label')") == "Play"
    assert page.value("scrollY") == 0
    assert page.problems() == []


def test_the_pointer(browser: Browser, dawn: Path, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dawn))
    page.click("[data-do=first]")
    page.click("[data-do=on]")
    assert at(page)[0] == "1"
    page.click(".run .cell.new")
    (step, *_) = Trace.load(dawn / "trace.jsonl").of(0)
    position = int(step.chosen[0])
    said = page.value("document.querySelector('.inspector').textContent")
    assert said.startswith(f'position {position}: " w{step.tokens[0]}", committed in step 0')
    assert f"token {step.tokens[0]}" in said
    assert "eligible, chosen" in said
    page.click(".lanes button[data-set=anchors]")
    assert step.details is not None
    assert positions(page, "marked") == step.details.sets["anchors"].tolist()
    page.click(".lanes button[data-set=anchors]")
    assert positions(page, "marked") == []
    page.click(".map")  # its middle
    n = len(Trace.load(dawn / "trace.jsonl").of(0))
    assert int(at(page)[0]) in (n // 2, n // 2 + 1)
    page.click("#theme")
    assert page.value("document.documentElement.style.colorScheme") == "dark"
    page.value("document.querySelector('.zoom input').click()")
    slide(page, 1)
    shown = page.value("(({ x, width }) => [x, x + width])(document.querySelector('.lanes svg').viewBox.baseVal)")
    start, stop = step.block
    assert shown == [max(0, start - min(12, stop - start)), stop + 4]
    assert stop + 4 < 35
    assert page.problems() == []


def test_another_prompt(browser: Browser, dawn: Path, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dawn))
    options = page.value("[...document.querySelectorAll('#row option')].map((o) => o.textContent)")
    assert options == ["1: w1 w2 w3", "2: w4 w5 w6 w7"]
    page.value("row.value = 1; row.dispatchEvent(new Event('change'))")
    assert shown(page)[:4] == ["w4", "w5", "w6", "w7"]
    assert at(page)[0] == str(len(Trace.load(dawn / "trace.jsonl").of(1)))


def test_two_runs(browser: Browser, dawn: Path, quota: Path, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, dawn, quota))
    one, other = (Trace.load(run / "trace.jsonl").of(0) for run in (dawn, quota))
    n, m = len(one), len(other)
    assert n < m == 32
    assert page.value("[...document.querySelectorAll('.run h2')].map((h) => h.textContent)") == ["dawn+dsb", "baseline"]
    for sync, notch, states in [
        ("forward", 2, (2, 2)), ("forward", m, (n, m)), ("share", m, (n, m)), ("share", m // 2, (round(n / 2), m // 2)),
    ]:  # fmt: skip
        page.value(f"sync.value = '{sync}'; sync.dispatchEvent(new Event('change'))")
        slide(page, notch)
        assert at(page)[1] == f"after forward {states[0]} of {n} | {states[1]} of {m}"
    page.value("sync.value = 'work'; sync.dispatchEvent(new Event('change'))")
    work = [[0], [0]]
    for sums, steps in zip(work, (one, other), strict=True):
        for step in steps:
            sums.append(sums[-1] + len(step.query))
    totals = sorted({*work[0], *work[1]})
    for notch in (0, 1, len(totals) // 2, len(totals) - 1):
        slide(page, notch)
        states = tuple(max(i for i, total in enumerate(sums) if total <= totals[notch]) for sums in work)
        assert at(page)[1] == f"after forward {states[0]} of {n} | {states[1]} of {m}"
    assert page.value("[...document.querySelectorAll('.run')].map((r) => r.querySelectorAll('.arcs').length)") == [1, 0]
    assert page.problems() == []


def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    run = write_run(tmp_path / "<img src=x onerror=alert(3)>", texts=lambda token: HOSTILE)
    page = browser.open(written(tmp_path, run))
    page.press("Home")
    page.press("ArrowRight")
    page.click(".run .cell.new")
    assert page.value("document.images.length + document.querySelectorAll('body script').length") == 2
    assert page.value("document.querySelector('.run h2').textContent") == "<img src=x onerror=alert(3)>"
    text = shown(page)[0]
    assert text.startswith("</script><script>alert(1)</script><img")
    assert not {"\u202e", "\x1b", "\u2028"} & set("".join(shown(page)))
    assert page.problems() == []
    assert len(page.requests()) == 1
    page.value(
        "window.late = document.createElement('script'); late.textContent = 'window.ran = 1'; document.body.append(late)"
    )
    assert page.value("typeof window.ran") == "undefined"  # the policy allows the page's own script only


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(
    browser: Browser, dawn: Path, quota: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    page = browser.open(written(tmp_path, dawn, quota), width, 800, dark)
    assert page.value("document.documentElement.scrollWidth") <= width
    slide(page, 2)
    assert page.value(LEAST_CONTRAST) >= 4.5  # of WCAG AA
    unnamed = (
        "[...document.querySelectorAll('button, select, input, [role=img], [role=meter]')].filter((e) => !NAME).length"
    )
    name = "(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim())"
    assert page.value(unnamed.replace("NAME", name)) == 0
    for target in page.value(
        "[...document.querySelectorAll('#player button')].map((b) => b.getBoundingClientRect()).map((b) => [b.width, b.height])"
    ):
        assert min(target) >= 24


LEAST_CONTRAST = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => c.slice(0, 3).map((x) => x / 255)
    .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgb(getComputedStyle(document.body).backgroundColor);
  };
  let least = Infinity;
  const texts = "h1, label, summary, p, button, .meter b, .meter span, .cell:not(.hidden) .token";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [rgb(getComputedStyle(element).color), behind(element)].map(light).sort((x, y) => y - x);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least;
})()"""
