"""`dllmkit show`: the resolved recipe and its origins."""

from __future__ import annotations

import json

import pytest
import yaml
from shell import call

RECIPE = """
extends: common
decode:
  unmask_selector: {name: threshold, tau: 0.8}
  stop_rules: [eos]
prompts:
  samples: ["one: two", "%s"]
""" % ("long " * 30)


@pytest.fixture(autouse=True)
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    (tmp_path / "common.yaml").write_text("decode: {gen_length: 64}")
    (tmp_path / "r.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)


def test_every_value_has_its_origin(capsys):
    outcome = call(capsys, "show", "r.yaml", "decode.seed=3")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("# r.yaml: resolved recipe ")
    assert "  gen_length: 64             # common (extends)" in lines
    assert "  seed: 3                    # override 'decode.seed=3'" in lines
    assert "    tau: 0.8                 # recipe file" in lines
    assert "    - name: eos              # recipe file" in lines
    assert "      rule: prefix_complete  # default" in lines
    assert "    - 'one: two'             # recipe file" in lines
    assert "runtime:" in lines


def test_what_is_shown_is_yaml_and_the_same_as_the_json(capsys):
    shown = yaml.safe_load(call(capsys, "show", "r.yaml").out)
    report = json.loads(call(capsys, "show", "r.yaml", "--json").out)
    assert shown == report["resolved"]
    assert len(report["hash"]) == 64
    assert report["provenance"]["decode.unmask_selector.tau"] == "recipe file"


def test_what_is_shown_can_be_used_as_a_recipe(capsys, tmp_path):
    (tmp_path / "again.yaml").write_text(call(capsys, "show", "r.yaml").out)
    hashes = {json.loads(call(capsys, "show", name, "--json").out)["hash"] for name in ("r.yaml", "again.yaml")}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope.yaml"], "error: nope.yaml: there is no recipe file or recipe of this name: "),
        (["r.yaml", "foo"], "error: r.yaml: override 'foo': expected key=value\n"),
        (
            ["r.yaml", "decode.gen_length=0", "decode.sed=1"],
            "error: r.yaml: 2 problems\n  - unknown key 'decode.sed': did you mean 'seed'?\n"
            "  - decode.gen_length = 0, expected >= 1\n",
        ),
    ],
)
def test_a_mistake_is_a_message_and_status_2(capsys, arguments, message):
    outcome = call(capsys, "show", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(message)
