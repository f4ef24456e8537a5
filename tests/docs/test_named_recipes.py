"""Every recipe that a page names exists, and every recipe can be used."""

from __future__ import annotations

import re

from shell import ROOT

from dllmkit import load_recipe
from dllmkit.plugins import load_plugins

RECIPES = sorted(
    path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in (ROOT / "recipes").rglob("*.yaml")
)
FOLDERS = sorted({name.partition("/")[0] for name in RECIPES if "/" in name})
NAMED = re.compile(
    rf"(?<![\w/.-])(?:recipes/(?P<path>[\w/+.-]+)\.yaml|(?P<name>(?:{'|'.join(FOLDERS)})(?:/[\w+-]+)+(?:\.[\w+-]+)*))"
)
IN_CODE = re.compile(r"`[^`]+`|^\$ .+$|^\s*extends:.+$", re.MULTILINE)


def named() -> list[tuple[str, str]]:
    """Page and recipe for each recipe that is named in code."""
    found = []
    for page in sorted(
        [
            *ROOT.glob("*.md"),
            *ROOT.glob("plugins/*/README.md"),
            *ROOT.glob("recipes/*.md"),
            *(ROOT / "docs").rglob("*.md"),
        ]
    ):
        for code in IN_CODE.findall(page.read_text(encoding="utf-8")):
            for match in NAMED.finditer(code):
                found.append(
                    (page.relative_to(ROOT).as_posix(), (match["path"] or match["name"]).removesuffix(".yaml"))
                )
    return found


def test_named_recipes_exist():
    assert ("README.md", "baseline/tiny") in named()
    folders = {name.rpartition("/")[0] for name in RECIPES}  # a table is named by its folder
    assert [(page, name) for page, name in named() if name not in RECIPES and name not in folders] == []


def test_recipes_can_be_used():
    plugins = load_plugins(environ={"DLLMKIT_PLUGINS": ""})
    for name in RECIPES:
        load_recipe(name, (), plugins)
