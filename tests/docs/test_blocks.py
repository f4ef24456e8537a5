"""The code in README and documentation runs as it stands.

Blocks fenced as python run in order, page by page; yaml blocks are recipes. Of each line that begins with `$` in a console
block the `dllmkit` part is run, and the output shown below it must be what comes out. Blocks of any other kind are not looked
at, nor are lab notes, which say what was true on their day. The tutorial is followed by test_tutorial.py.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from shell import ROOT, call

from dllmkit import load_recipe

TESTED_ELSEWHERE = {"docs/how-to/add-a-model-family.md"}  # tests/models/test_how_to.py
VARY = re.compile(r"\s*(seconds|tps|tps_answer)\b")  # lines of output that differ from run to run


@dataclass(frozen=True)
class Fenced:
    """A fenced block: its page, the line it begins at, its kind and its text."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> Iterator[Path]:
    """README, CONTRIBUTING, the READMEs of plugins, and the documentation."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("plugins/*/README.md"), *(ROOT / "docs").rglob("*.md")]
    for path in sorted(found):
        name = path.relative_to(ROOT).as_posix()
        if name not in TESTED_ELSEWHERE and not name.startswith(("docs/lab/", "docs/tutorial/")):
            yield path


def fenced(path: Path) -> Iterator[Fenced]:
    """The fenced blocks of a page, in order."""
    kind, start, kept = None, 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            kept.append(line)
        elif kind is None:
            kind, start, kept = line[3:].strip(), number, []
        else:
            yield Fenced(path.relative_to(ROOT).as_posix(), start, kind, "\n".join(kept) + "\n")
            kind = None
    assert kind is None, f"{path}:{start}: the block is not closed"


BLOCKS = [block for path in pages() for block in fenced(path)]


def of_kind(kind: str) -> list[Fenced]:
    return [block for block in BLOCKS if block.kind == kind]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the output shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").replace("\\\n", "").split("\n")
        yield command, shown


def dllmkit_part(command: str) -> list[str] | None:
    """The arguments of `dllmkit` in a command such as `pip install . && dllmkit run ...`, None if it has none."""
    words = shlex.split(command)
    return words[words.index("dllmkit") + 1 :] if "dllmkit" in words else None


def expected_status(shown: list[str]) -> int:
    """A command succeeds, unless an error is shown below it."""
    return 2 if any(line.startswith("error: ") for line in shown) else 0


def missing(shown: list[str], out: str) -> list[str]:
    """The lines shown that did not come out; `...` stands for lines that are left out."""
    printed = [line.rstrip() for line in out.splitlines()]
    return [
        line
        for line in map(str.rstrip, shown)
        if line not in ("", "...") and not VARY.match(line) and line not in printed
    ]


@pytest.mark.parametrize("page", sorted({block.page for block in of_kind("python")}))
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = ModuleType("a_page")  # dataclasses look their module up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in of_kind("python"):
        if block.page == page:
            exec(compile("\n" * block.line + block.text, ROOT / page, "exec", dont_inherit=True), module.__dict__)


@pytest.mark.parametrize("block", of_kind("yaml"), ids=str)
def test_yaml_blocks_are_recipes(block):
    load_recipe(yaml.safe_load(block.text))


@pytest.mark.parametrize("block", of_kind("console"), ids=str)
def test_console_blocks_run(block, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "132")
    for command, shown in commands(block.text):
        arguments = dllmkit_part(command)
        if arguments is None:
            continue
        monkeypatch.chdir(ROOT if "recipes/" in command else tmp_path)
        outcome = call(capsys, *arguments)
        assert outcome.status == expected_status(shown), f"{block}: {command}\n{outcome.err}"
        assert missing(shown, outcome.out + outcome.err) == [], f"{block}: {command}\n{outcome.out}"


def test_the_readme_has_the_two_commands():
    readme = [
        command for block in of_kind("console") if block.page == "README.md" for command, _ in commands(block.text)
    ]
    assert sum("pip install" in command and dllmkit_part(command) is not None for command in readme) == 1
    assert [command for command in readme if command.endswith("&& pytest")] == [
        "pip install torch==2.13.0 -e '.[dev]' && pytest"
    ]


def test_what_is_shown_is_compared():
    out = "a  \nnfe  3  model forwards\nseconds 0.5\n"
    assert missing(["a", "...", "seconds 0.7", "", "nfe  3  model forwards"], out) == []
    assert missing(["b", "nfe  4  model forwards"], out) == ["b", "nfe  4  model forwards"]
