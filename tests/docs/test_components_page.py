"""Pages that are made from the code are up to date, and README and lab index leave nothing out."""

from __future__ import annotations

import runpy
import sys

import pytest
from shell import ROOT

from dllmkit.plugins import load_plugins
from dllmkit.registry import SLOTS

sys.path.insert(0, str(ROOT / "docs"))  # generate.py imports the modules beside it
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"), run_name="generate")["PAGES"]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.stem)
def test_generated_pages_are_up_to_date(path):
    assert path.read_text(encoding="utf-8") == GENERATED[path](), "run: python docs/generate.py"


def test_the_readme_names_every_component():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    registry = load_plugins(environ={"DLLMKIT_PLUGINS": ""}).registry
    names = [name for slot in SLOTS for name in registry.names(slot)]
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_the_lab_index_lists_every_note():
    folder = ROOT / "docs" / "lab"
    index = (folder / "index.md").read_text(encoding="utf-8")
    assert [
        note.name for note in folder.glob("*.md") if note.name != "index.md" and f"({note.name})" not in index
    ] == []
