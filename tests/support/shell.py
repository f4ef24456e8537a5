"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import os
import signal
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


def forked(arguments: tuple[str, ...], output: Path) -> int:
    """Start the command in a copy of this process, which has torch in memory already; return its id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(target, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main(arguments)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Wait for a process; its status as the shell gives it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
