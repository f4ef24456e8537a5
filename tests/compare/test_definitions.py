"""docs/how-to/compare.md defines each figure in the words that the program and the report print."""

from __future__ import annotations

import re

from shell import ROOT

from dllmkit.compare.figures import DEFINITIONS


def test_the_page_has_the_one_definition() -> None:
    text = (ROOT / "docs" / "how-to" / "compare.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    assert dict(rows) == DEFINITIONS
