"""`dllmkit eval` ended at random moments: the same command goes on, and ends with the folder of an evaluation in one piece."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from evaluating import SLOW, command, finished, untimed
from shell import call, ended, forked


def check_folder(folder: Path, kept: set[int]) -> set[int]:
    """What is finished after an interruption: nothing lost since, nothing doubled."""
    indices = finished(folder)
    assert len(indices) == len(set(indices))
    assert kept <= set(indices)
    if (folder / "summary.json").exists():
        json.loads((folder / "summary.json").read_text())
    return set(indices)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_interrupted_at_random_moments(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, number: signal.Signals
) -> None:
    """Ended a random while after a random number of samples, wherever that is: starting, decoding, writing, ending."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    options = command("--json", limit=6, recipe=SLOW)
    assert call(capsys, *options, "--out", str(whole)).status == 0
    chance = random.Random(int(number))
    kept: set[int] = set()
    interruptions = 0
    for attempt in range(60):
        output = tmp_path / f"{attempt}.txt"
        child = forked((*options, "--out", str(cut)), output)
        enough = len(kept) + chance.choice((0, 1, 1, 2))
        while len(finished(cut)) < enough and not exited(child):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.3))
        os.kill(child, number)  # not reaped yet, so it is ours even if it has ended
        status = ended(child)
        assert "Traceback" not in output.read_text()
        kept = check_folder(cut, kept)
        if status == 0:
            break
        interruptions += 1
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
    assert status == 0
    assert interruptions
    assert (cut / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (cut, whole)]
    assert untimed(summaries[0]) == untimed(summaries[1])


def exited(child: int) -> bool:
    """Whether a process has ended; it is not reaped."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
