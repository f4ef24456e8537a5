"""The pages of methods: one template, each component on exactly one page, golden files named once, figures as measured."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from shell import ROOT

from dllmkit.plugins import load_plugins
from dllmkit.registry import SLOTS

FOLDER = ROOT / "docs" / "methods"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md")) if path.stem != "index"}
SECTIONS = [
    "Problem",
    "Symbols",
    "Equations",
    "Pseudo-code",
    "Code",
    "Deviations and released bugs",
    "Cost",
    "Recipes",
    "Against the released code",
    "Published and measured",
]


def section(text: str, title: str) -> str:
    """The text below a heading of second level."""
    return re.split(rf"^## {re.escape(title)}$", text, flags=re.MULTILINE)[1].partition("\n## ")[0]


@pytest.mark.parametrize("name", PAGES)
def test_the_template_is_kept(name):
    assert re.findall(r"^## (.+)$", PAGES[name], re.MULTILINE) == SECTIONS
    assert [title for title in SECTIONS if not section(PAGES[name], title).strip()] == []


@pytest.mark.parametrize("name", PAGES)
def test_it_has_an_equation_and_pseudo_code(name):
    assert "$$" in section(PAGES[name], "Equations")
    assert "```text\n" in section(PAGES[name], "Pseudo-code")


def test_every_component_is_on_exactly_one_page():
    registry = load_plugins(environ={"DLLMKIT_PLUGINS": ""}).registry
    registered = {name: registry.get(slot, name).provider.package for slot in SLOTS for name in registry.names(slot)}
    found = [
        (component, page)
        for page, text in PAGES.items()
        for component, link in re.findall(
            r"^\| `(\w+)` \| \[source\]\(\.\./reference/source\.md#(\w+)\) \|", section(text, "Code"), re.MULTILINE
        )
        if component == link
    ]
    assert Counter(component for component, _ in found) == Counter(list(registered))
    plugin_of = {page: re.search(r"^Plugin `(\w+)`", text, re.MULTILINE)[1] for page, text in PAGES.items()}
    assert {component: plugin_of[page] for component, page in found} == registered


def test_every_golden_file_is_named_on_one_page():
    files = {path.stem for path in (ROOT / "tests" / "golden").glob("*.json")}
    named = Counter(
        name
        for text in PAGES.values()
        for name in re.findall(r"`((?:llada|dream)\.[\w.]+)`", section(text, "Against the released code"))
    )
    assert named == Counter(files)


def test_measured_rows_are_those_of_the_lab_note():
    measured = (ROOT / "docs" / "lab" / "2026-11-22-quality-on-the-bundled-model.md").read_text(encoding="utf-8")
    rows = [
        line
        for text in PAGES.values()
        for line in section(text, "Published and measured").splitlines()
        if line.count("|") == 13 and not line.startswith("|---")
    ]
    assert len(rows) > 10
    assert [row for row in rows if row not in measured.splitlines()] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_plugin_leads_to_its_page(name):
    plugin = re.search(r"^Plugin `(\w+)`", PAGES[name], re.MULTILINE)[1]
    readme = (ROOT / "plugins" / plugin / "README.md").read_text(encoding="utf-8")
    assert f"docs/methods/{name}.md" in readme


def test_the_table_of_methods_names_every_component():
    registry = load_plugins(environ={"DLLMKIT_PLUGINS": ""}).registry
    for page in (FOLDER / "index.md", ROOT / "docs" / "concepts" / "four-sets.md"):
        text = page.read_text(encoding="utf-8")
        slots = ("block_scheduler", "context_window", "cache_policy", "unmask_selector")
        assert [n for slot in slots for n in registry.names(slot) if f"`{n}`" not in text] == [], page
