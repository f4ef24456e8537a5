"""docs/concepts/metrics.md defines each metric in the words that the program prints."""

from __future__ import annotations

import dataclasses
import re

from shell import ROOT

from dllmkit.observe.metrics import DEFINITIONS, Metrics

PAGE = ROOT / "docs" / "concepts" / "metrics.md"


def test_the_sheet_is_the_one_definition():
    text = PAGE.read_text(encoding="utf-8").replace("\\|", "|")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == DEFINITIONS


def test_every_figure_has_a_definition():
    assert {field.name for field in dataclasses.fields(Metrics)} == set(DEFINITIONS)
