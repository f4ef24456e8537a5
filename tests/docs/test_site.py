"""The site builds, with and without KaTeX and mermaid, and its pages ask no other server for anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from shell import ROOT

import dllmkit
from dllmkit import slots

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
VENDORED = all((ROOT / "docs" / "assets" / "vendor").glob(f"{name}-*") for name in ("katex", "mermaid"))
needs_mkdocs = pytest.mark.skipif(
    not all(map(find_spec, ("mkdocs", "material", "mkdocstrings"))), reason="the extra 'docs' is not installed"
)
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


def build(folder: Path, source: Path = ROOT) -> Path:
    """Build the site from a checkout, strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=source, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site"))


class Loaded(HTMLParser):
    """Collects the addresses that a browser loads by itself: scripts, styles, images, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "audio"):
            self.addresses.append(given.get("src") or "")
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(given.get("href") or "")


@needs_mkdocs
def test_pages_load_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        assert [a for a in parser.addresses if re.match(r"(\w+:)?//", a)] == [], page


@needs_mkdocs
def test_it_builds_without_the_vendored_files(tmp_path):
    copy = tmp_path / "copy"
    for name in ("docs", "dllmkit", "plugins", "recipes", "mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md"):
        source = ROOT / name
        ignored = shutil.ignore_patterns("vendor", "__pycache__", "*.safetensors")
        shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy / name)
    site = build(tmp_path / "site", copy)
    page = (site / "methods" / "dawn.html").read_text(encoding="utf-8")
    assert "katex" not in page
    assert r"\tau_{\text{edge}}" in page  # the equations are there as text
    assert 'class="mermaid"' not in (site / "concepts" / "caches.html").read_text(encoding="utf-8")


@needs_mkdocs
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.skipif(not VENDORED, reason="python docs/vendor.py has not been run")
@pytest.mark.parametrize("page", ["methods/dawn", "methods/streaming-dllm", "concepts/caches", "concepts/four-sets"])
def test_equations_and_diagrams_are_drawn(site, tmp_path, page):
    source = (site / f"{page}.html").read_text(encoding="utf-8")
    drawn, requested = browse(site / f"{page}.html", tmp_path)
    assert drawn.count('class="katex"') >= source.count('class="arithmatex"')
    assert "katex-error" not in drawn
    assert drawn.count('<div class="mermaid"') == source.count('<pre class="mermaid"')
    assert source.count('class="arithmatex"') + source.count('<pre class="mermaid"') > 0
    assert requested == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_request_would_be_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<img src="http://example.invalid/a.png">')
    assert browse(page, tmp_path)[1] == ["http://example.invalid/a.png"]


def browse(page: Path, folder: Path) -> tuple[str, list[str]]:
    """Open a page in a headless browser: the document after its scripts have run, and what it asked other servers for."""
    log = folder / "net.json"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom", *QUIET]
    command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    started = [event["params"] for event in events if "initiator" in (event.get("params") or {})]
    # the browser's own requests have no origin; those of a page from a folder have the origin "null"
    urls = {params["url"] for params in started if params["initiator"] in ("null", "file://")}
    return done.stdout, sorted(url for url in urls if not url.startswith(("file:", "data:", "blob:")))


def test_the_api_page_has_every_public_name():
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    missing = [name for name in dllmkit.__all__ if not re.search(rf"^::: dllmkit\.[\w.]+\.{name}$", page, re.MULTILINE)]
    assert missing == ["hookimpl"]  # a decorator, explained in a sentence
    classes = [n for n, v in vars(slots).items() if isinstance(v, type) and v.__module__ == slots.__name__]
    assert [name for name in classes if f"::: dllmkit.slots.{name}\n" not in page] == []


def test_what_is_vendored_is_not_committed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "docs/assets"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "vendor" not in listed.stdout
