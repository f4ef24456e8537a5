"""`dllmkit plugins`: what is listed, what is broken, and how fast it answers."""

from __future__ import annotations

import json
import os
import sys

import pytest
from shell import ROOT, call, python
from strangers import install

from dllmkit.registry import SLOTS

SCHEDULER = '''
@dataclass(frozen=True)
class Strange:
    """Does strange things. Often."""

    must: str = param(doc="no default", choices=("a", "b"))
    size: int = param(8, "how strange", ge=1, le=9)

@hookimpl
def dllmkit_block_schedulers():
    return {"strange": Strange, "gone": "no_such_module:Gone"}
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.delenv("DLLMKIT_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_the_listing(capsys, site):
    install(site, "stranger", SCHEDULER)
    install(site, "broken", "import no_such_module\n")
    outcome = call(capsys, "plugins")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == list(SLOTS)
    at = next(i for i, line in enumerate(lines) if line.startswith("  strange"))
    assert [line.split() for line in lines[at : at + 3]] == [
        "strange stranger (stranger-dist 1.0) Does strange things.".split(),
        "must str required a | b no default".split(),
        "size int = 8 >= 1, <= 9 how strange".split(),
    ]
    (gone,) = [line for line in lines if line.startswith("  gone")]
    assert gone.split("  ")[-1] == (
        "cannot be used: block_scheduler 'gone' of plugin 'stranger' (stranger-dist 1.0) cannot be imported from "
        "'no_such_module:Gone': ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert outcome.err.splitlines() == [
        "warning: plugin 'broken' (broken-dist 1.0): could not be loaded: ModuleNotFoundError: No module named "
        "'no_such_module'"
    ]


def test_the_json(capsys, site):
    install(site, "stranger", SCHEDULER)
    install(site, "broken", "import no_such_module\n")
    outcome = call(capsys, "plugins", "--json")
    report = json.loads(outcome.out)
    assert outcome.err == ""
    assert report["problems"] == [
        {
            "plugin": "broken",
            "distribution": "broken-dist 1.0",
            "message": "could not be loaded: ModuleNotFoundError: No module named 'no_such_module'",
        }
    ]
    (strange,) = [c for c in report["components"] if c["name"] == "strange"]
    assert (strange["package"], strange["distribution"]) == ("stranger", "stranger-dist 1.0")
    assert strange["parameters"][1] == {
        "name": "size", "type": "int", "default": 8, "required": False, "doc": "how strange", "range": ">= 1, <= 9",
    }  # fmt: skip


def test_every_component_of_ours_can_be_used_and_says_what_it_does(capsys, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    components = json.loads(call(capsys, "plugins", "--json").out)["components"]
    assert {c["slot"] for c in components} == set(SLOTS)
    assert not [c for c in components if c["error"] or not c["summary"]]
    assert not [(c["name"], p["name"]) for c in components for p in c["parameters"] if not p["doc"]]


@pytest.mark.parametrize(
    "command", ["['plugins']", "['show', 'baseline/tiny', 'decode.seed=1']", "['validate', 'baseline/tiny']"]
)
def test_nothing_heavy_is_imported(command):
    code = (
        "import sys\nfrom dllmkit.cli import main\n"
        f"try: main({command})\nexcept SystemExit as done: assert not done.code, done.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'safetensors', 'rich', 'huggingface_hub'}\n"
        "print(*(heavy & set(sys.modules)), file=sys.stderr)"
    )
    outcome = python("-c", code, DLLMKIT_PLUGINS="")
    assert (outcome.status, outcome.err.strip()) == (0, "")


@pytest.mark.parametrize("command", [["plugins"], ["show", "baseline/tiny"]])
def test_the_answer_comes_within_half_a_second_of_processor_time(command):
    """Processor time: on a busy machine the clock on the wall says little."""
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'dllmkit', *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)\n"
        "print(os.times().children_user + os.times().children_system)"
    )
    seconds = min(float(python("-c", code, *command).out) for _ in range(3))
    assert seconds < 0.5


def test_bad_usage_is_status_2(capsys):
    assert call(capsys, "plugins", "--jason").status == 2
    assert call(capsys, "plugin").status == 2


def test_help_has_an_example(capsys):
    for command in ("run", "plugins", "show", "validate", "doctor"):
        assert f"Example: dllmkit {command}" in call(capsys, command, "--help").out
    assert call(capsys, "--version").out.startswith("dllmkit ")


def test_an_interrupt_is_status_130_without_a_traceback(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dllmkit.cli.plugins.load_plugins", interrupted)
    outcome = call(capsys, "plugins")
    assert (outcome.status, outcome.err) == (130, "")


def test_a_bug_shows_its_traceback(monkeypatch):
    code = "import dllmkit.cli.plugins as p\nfrom dllmkit.cli import main\np.load_plugins = None\nmain(['plugins'])"
    outcome = python("-c", code)
    assert outcome.status == 1
    assert "Traceback" in outcome.err
    assert "TypeError" in outcome.err


def test_a_checkout_works_as_a_module():
    assert os.path.exists(ROOT / "dllmkit" / "__main__.py")
    assert python("-m", "dllmkit", "--version").status == 0
