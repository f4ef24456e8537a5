"""The shape of the repository: its top level, the length of its files, and nothing in it that names one machine."""

from __future__ import annotations

import re
import subprocess

import pytest
from shell import ROOT

LONGEST = 400
FILES = "pyproject.toml README.md LICENSE CHANGELOG.md CONTRIBUTING.md mkdocs.yml .gitignore"
FOLDERS = ".ci dllmkit plugins recipes tests docs"
MACHINE = re.compile(r"(?<![\w.~>}-])/(?:root|home|work|opt|mnt|Users)/\w" + r"|\.\./" + "shared")


def files() -> list[str]:
    """Tracked files and new ones that git does not ignore."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({name for name in names if name and (ROOT / name).is_file()})


def test_top_level():
    expected = {*FILES.split(), *FOLDERS.split()}
    assert {name.partition("/")[0] for name in files()} == expected


def test_no_python_file_is_long():
    lengths = {
        name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in files() if name.endswith(".py")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_nothing_names_a_machine():
    found = []
    for name in files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{name}:{n}: {line.strip()[:80]}" for n, line in enumerate(text.splitlines(), 1) if MACHINE.search(line)
        ]
    assert found == []
