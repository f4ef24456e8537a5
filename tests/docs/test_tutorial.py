"""The tutorial, followed in an empty folder: its files are written, its commands run, its output compared.

A python, toml or yaml block with a title is a file; each command of a console block runs in a shell, and what is shown below it
must come out. Blocks of kind `sh` are what the environment of the test stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from newcomer import Environment, new_environment
from shell import ROOT
from test_blocks import commands, expected_status, fenced, missing

FOLDER = ROOT / "docs" / "tutorial"
EXAMPLES = ROOT / "docs" / "examples"
TITLE = re.compile(
    r'(?:python|toml|yaml|\{ \.python) title="([^"]+)"(?: \})?'
)  # braces keep formatters out of included files
INCLUDED = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)


def pages() -> list[Path]:
    """The pages in the order of the site's navigation."""
    for section in _navigation():
        if "Tutorial" in section:
            return [ROOT / "docs" / path for page in section["Tutorial"] for path in page.values()]
    raise AssertionError("no tutorial in mkdocs.yml")


def _navigation() -> list[dict[str, object]]:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text[text.index("\nnav:") :])["nav"])


def content(text: str) -> str:
    """The text of a block, with the files that it includes."""
    return INCLUDED.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8").rstrip("\n"), text)


def steps(page: Path) -> Iterator[tuple[str, str, str]]:
    """What the reader does: ("file", name, text) and ("run", where, text of a console block)."""
    for block in fenced(page):
        title = TITLE.fullmatch(block.kind)
        if title:
            yield "file", title[1], content(block.text)
        elif block.kind == "console":
            yield "run", str(block), block.text


@pytest.mark.slow
def test_it_can_be_followed(tmp_path):
    environment = new_environment(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    for page in pages():
        for action, name, text in steps(page):
            if action == "file":
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_text(text, encoding="utf-8")
            else:
                follow(environment, work, name, text)


def follow(environment: Environment, work: Path, where: str, text: str) -> None:
    """Run the commands of a console block: each succeeds, or fails where an error is shown, and prints what is shown."""
    for command, shown in commands(text):
        outcome = environment.run("bash", "-c", command, cwd=work)
        assert outcome.status == expected_status(shown), f"{where}: {command}\n{outcome.out}{outcome.err}"
        printed = narrow(outcome.out + outcome.err)
        assert missing([narrow(line) for line in shown], printed) == [], f"{where}: {command}\n{printed}"


def narrow(text: str) -> str:
    """Columns are as wide as their longest value, and tokens per second vary."""
    return re.sub(" {2,}", " ", text)


def test_every_page_is_in_the_navigation():
    assert sorted(pages()) == sorted(FOLDER.glob("*.md"))


def test_the_example_packages_are_shown_whole():
    shown = {path for page in pages() for path in INCLUDED.findall(page.read_text(encoding="utf-8"))}
    folders = [EXAMPLES / "dllmkit-dilated", EXAMPLES / "dllmkit-grounded"]
    files = {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.glob("*.*") if path.is_file()}
    assert shown == files


@pytest.mark.parametrize("name", ["dllmkit-dilated/dllmkit_dilated.py", "dllmkit-grounded/dllmkit_grounded.py"])
def test_a_component_is_about_thirty_lines(name):
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.lstrip().startswith(('"""', "#"))]) <= 30
