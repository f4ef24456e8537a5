"""Loading plugins: ours first, strangers by name, and a broken one stops nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import warnings
from types import SimpleNamespace

import pytest
from shell import ROOT
from strangers import install

from dllmkit.errors import PluginWarning
from dllmkit.hookspecs import hookimpl
from dllmkit.plugins import BUILT_IN, HOOKS, load_plugins
from dllmkit.registry import SLOTS


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the import path, for packages of strangers."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def scheduler(name: str, target: str = "fractions:Fraction") -> str:
    return f"@hookimpl\ndef dllmkit_block_schedulers():\n    return {{'{name}': '{target}'}}\n"


def problems(**environ: str) -> list[str]:
    return [str(problem) for problem in load_plugins(environ=environ).problems]


def test_built_in_packages_are_the_folders_and_the_entry_points():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    entries = project["project"]["entry-points"]["dllmkit"]
    folders = {p.parent.name for p in (ROOT / "plugins").glob("dllmkit_*/__init__.py")}
    assert set(BUILT_IN) == folders == set(entries.values())


def test_there_is_a_hook_for_every_slot():
    assert sorted(HOOKS.values()) == sorted(SLOTS)


def test_ours_load_without_a_problem():
    loaded = load_plugins(environ={"DLLMKIT_PLUGINS": ""})
    assert loaded.problems == ()
    assert loaded.registry.get("block_scheduler", "fixed_blocks").provider.package == "dllmkit_baseline"


def test_a_stranger_is_found_by_its_entry_point(site):
    install(site, "stranger", scheduler("strange"))
    loaded = load_plugins(environ={})
    entry = loaded.registry.get("block_scheduler", "strange")
    assert str(entry.provider) == "plugin 'stranger' (stranger-dist 1.0)"
    assert loaded.problems == ()


def test_our_own_entry_points_are_not_loaded_twice(site):
    install(site, "ours", "", entry="dllmkit_baseline")
    assert problems() == []


def test_a_collision_names_both_and_keeps_the_first(site):
    install(site, "b_second", scheduler("mine"))
    install(site, "a_first", scheduler("mine") + scheduler("other").replace("block_schedulers", "stop_rules"))
    install(site, "c_third", scheduler("fixed_blocks"))
    loaded = load_plugins(environ={})
    assert loaded.registry.get("block_scheduler", "mine").provider.name == "a_first"
    assert [str(p) for p in loaded.problems] == [
        "plugin 'b_second' (b_second-dist 1.0): block_scheduler 'mine' is registered already by plugin 'a_first' "
        "(a_first-dist 1.0)",
        "plugin 'c_third' (c_third-dist 1.0): block_scheduler 'fixed_blocks' is registered already by plugin "
        "'dllmkit_baseline' (dllmkit)",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "could not be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "could not be loaded: SystemExit: 3"),
        ("x = 1", "has no hook: mark functions with @dllmkit.hookspecs.hookimpl"),
        (
            "@hookimpl\ndef dllmkit_block_scheduler():\n    return {}",
            "implements the unknown hook 'dllmkit_block_scheduler': did you mean 'dllmkit_block_schedulers'?",
        ),
        (
            "@hookimpl\ndef dllmkit_stop_rules():\n    return ['x']",
            "hook dllmkit_stop_rules returned ['x'], expected a mapping of names to classes",
        ),
        (
            "@hookimpl\ndef dllmkit_stop_rules():\n    1 / 0",
            "hook dllmkit_stop_rules failed: ZeroDivisionError: division by zero",
        ),
        (
            "@hookimpl\ndef dllmkit_stop_rules():\n    return {'x': None}",
            "stop_rule 'x' has target None, expected a class or 'package.module:Class'",
        ),
        (
            "@hookimpl\ndef dllmkit_recipe_dirs():\n    return ['/no/such/folder']",
            "hook dllmkit_recipe_dirs returned '/no/such/folder', which is not a folder",
        ),
        (
            "@hookimpl\ndef dllmkit_recipe_dirs():\n    return 'abc'",
            "hook dllmkit_recipe_dirs returned 'abc', expected a list of folders",
        ),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_reported_by_name_and_stops_nothing(site, source, message):
    install(site, "broken", source + "\n")
    install(site, "zealous", scheduler("strange"))
    loaded = load_plugins(environ={})
    assert [str(p) for p in loaded.problems] == [f"plugin 'broken' (broken-dist 1.0): {message}"]
    assert {"fixed_blocks", "strange"} <= set(loaded.registry.names("block_scheduler"))


def test_the_sound_hooks_of_a_broken_plugin_work(site):
    install(site, "half", scheduler("sound") + "@hookimpl\ndef dllmkit_stop_rules():\n    1 / 0\n")
    loaded = load_plugins(environ={})
    assert "sound" in loaded.registry.names("block_scheduler")
    assert len(loaded.problems) == 1


def test_a_hook_with_arguments_of_its_own_is_refused(site):
    install(site, "curious", "@hookimpl\ndef dllmkit_stop_rules(registry):\n    return {}\n")
    (problem,) = problems()
    assert problem.startswith("plugin 'curious' (curious-dist 1.0): could not be loaded: PluginValidationError:")
    assert "{'registry'}" in problem


@pytest.mark.parametrize(
    ("value", "found"),
    [("", []), ("one", ["one"]), ("two-dist", ["two"]), ("two, one,", ["one", "two"])],
)
def test_the_environment_restricts_third_parties(site, value, found):
    install(site, "one", scheduler("one"))
    install(site, "two", scheduler("two"))
    loaded = load_plugins(environ={"DLLMKIT_PLUGINS": value})
    assert [p.name for p in loaded.providers] == [*BUILT_IN, *found]
    assert loaded.problems == ()


def test_the_environment_names_what_is_not_installed(site):
    install(site, "zigzag", scheduler("zigzag"))
    assert problems(DLLMKIT_PLUGINS="zigzg") == [
        "plugin 'zigzg' (no distribution): is named in DLLMKIT_PLUGINS but not installed: did you mean 'zigzag'?"
    ]


def test_objects_can_be_plugins_too():
    plugin = SimpleNamespace(__name__="notebook")
    plugin.dllmkit_stop_rules = hookimpl(specname="dllmkit_stop_rules")(lambda: {"never": dict})
    loaded = load_plugins([plugin], environ={"DLLMKIT_PLUGINS": ""})
    assert loaded.registry.get("stop_rule", "never").provider.name == "notebook"


def test_recipe_folders_are_collected(site):
    install(site, "cook", f"@hookimpl\ndef dllmkit_recipe_dirs():\n    return [{str(site)!r}]\n")
    assert load_plugins(environ={}).recipe_dirs == (site,)


def test_problems_become_warnings(site):
    install(site, "broken", "import no_such_module\n")
    with pytest.warns(PluginWarning, match=r"^plugin 'broken' \(broken-dist 1.0\): could not be loaded"):
        load_plugins(environ={}).warn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_plugins(environ={"DLLMKIT_PLUGINS": ""}).warn()


def test_importing_the_modules_does_nothing_and_imports_nothing_heavy():
    code = (
        "import sys, dllmkit.recipe, dllmkit.plugins, dllmkit.registry;"
        "heavy = {'torch', 'transformers', 'numpy', 'omegaconf', 'yaml'} & set(sys.modules);"
        "assert not heavy, heavy; assert not [m for m in sys.modules if m.startswith('dllmkit_')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
