"""`dllmkit validate`: each recipe's verdict."""

from __future__ import annotations

from shell import call


def test_several_recipes(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text("decode: {seed: 1}")
    (tmp_path / "bad.yaml").write_text("decode: {seed: x, gen_length: 0}")
    (tmp_path / "worse.yaml").write_text("decode: [1")
    outcome = call(capsys, "validate", "good.yaml", "bad.yaml", "worse.yaml", "baseline/tiny")
    assert outcome.status == 2
    assert outcome.out.splitlines() == [
        "good.yaml: ok",
        "bad.yaml: 2 problems",
        "  - decode.seed = 'x', expected int",
        "  - decode.gen_length = 0, expected >= 1",
        "worse.yaml: malformed YAML: line 1, column 11: expected ',' or ']', but got '<stream end>'",
        "baseline/tiny: ok",
    ]
    assert outcome.err == ""


def test_status_0_if_all_are_good(capsys, tmp_path):
    (tmp_path / "good.yaml").write_text("")
    assert call(capsys, "validate", str(tmp_path / "good.yaml")).status == 0
