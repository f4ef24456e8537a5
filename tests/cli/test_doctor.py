"""`dllmkit doctor`: the report is complete, and nothing missing makes it fail."""

from __future__ import annotations

import json
import sys

import torch
from shell import call
from strangers import install


def test_the_json(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("DLLMKIT_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "broken", "import no_such_module\n")
    report = json.loads(call(capsys, "doctor", "--json").out)
    assert report["versions"]["torch"] == torch.__version__
    assert report["machine"]["devices"][0] == "cpu"
    assert report["machine"]["threads"] == torch.get_num_threads()
    assert report["machine"]["dtype: auto"].split(" ")[0] in ("bfloat16", "float32")
    assert report["works here"]["CUDA graphs"] is torch.cuda.is_available()
    assert "dllmkit_baseline (dllmkit)" in report["plugins"]
    assert [p["plugin"] for p in report["problems of plugins"]] == ["broken"]


def test_the_text_has_a_line_for_each_fact(capsys, monkeypatch):
    monkeypatch.setenv("DLLMKIT_PLUGINS", "")
    out = call(capsys, "doctor").out
    for word in (
        "versions:",
        "python ",
        "torch ",
        "threads ",
        "dtype: auto",
        "CUDA graphs ",
        "dllmkit/tiny ",
        "plugins:",
    ):
        assert word in out
    assert out.endswith("problems of plugins:\n  none\n")


def test_without_torch_the_rest_is_still_said(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    report = json.loads(call(capsys, "doctor", "--json").out)
    assert "cannot be imported" in report["machine"]["torch"]
    assert report["works here"]["CUDA graphs"] is False
