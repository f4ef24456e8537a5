"""docs/how-to/benchmark.md defines each figure in the words that the document of a benchmark has."""

from __future__ import annotations

import re

from shell import ROOT

from dllmkit.bench.report import DEFINITIONS
from dllmkit.observe.metrics import DEFINITIONS as METRICS
from dllmkit.phases import NAMES


def rows(page: str, heading: str) -> dict[str, str]:
    """The table below a line of a page."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    table = text[text.index(heading) :].split("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))


def test_definitions():
    own = {name: words for name, words in DEFINITIONS.items() if METRICS.get(name) != words}
    assert rows("benchmark.md", "| figure |") == own
    assert METRICS.keys() < DEFINITIONS.keys()


def test_ranges():
    assert list(rows("profile.md", "| range |")) == list(NAMES)
