"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dllmkit.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Run `dllmkit` in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    captured = capsys.readouterr()
    return Outcome(int(exit_.value.code or 0), captured.out, captured.err)


def python(*arguments: str, interpreter: str = sys.executable, **environment: str) -> Outcome:
    """Run Python in a process of its own, with the checkout on its path."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run([interpreter, *arguments], env=variables, capture_output=True, text=True, timeout=300)
    return Outcome(done.returncode, done.stdout, done.stderr)
