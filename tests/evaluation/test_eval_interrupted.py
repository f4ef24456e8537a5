"""`dllmkit eval` ended at random moments: the same command goes on, and ends with the folder of an evaluation in one piece."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from evaluating import command, finished, untimed
from shell import call, ended, forked


def check_folder(folder: Path, kept: set[int]) -> set[int]:
    """What is finished after an interruption: nothing lost since, nothing doubled."""
    indices = finished(folder)
    assert len(indices) == len(set(indices))
    assert kept <= set(indices)
    if (folder / "summary.json").exists():
        json.loads((folder / "summary.json").read_text())
    return set(indices)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_random_moments(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, number: signal.Signals
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    options = command("--json", limit=15)
    call(capsys, *command("--json", limit=1))  # what is imported here, the copies of this process need not import
    started = time.perf_counter()
    assert ended(forked((*options, "--out", str(whole)), tmp_path / "whole.txt")) == 0
    took = time.perf_counter() - started
    chance = random.Random(int(number))
    kept: set[int] = set()
    interruptions = 0
    for attempt in range(60):
        output = tmp_path / f"{attempt}.txt"
        child = forked((*options, "--out", str(cut)), output)
        time.sleep(chance.uniform(0.05, 0.9) * took * (1 + attempt / 10))  # the machine may have slowed down
        os.kill(child, number)  # not reaped yet, so it is ours even if it has ended
        status = ended(child)
        assert "Traceback" not in output.read_text()
        kept = check_folder(cut, kept)
        if status == 0:
            break
        interruptions += 1
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
        if len(kept) >= 12:  # towards the end: let it finish
            assert ended(forked((*options, "--out", str(cut)), tmp_path / "last.txt")) == 0
            break
    assert interruptions
    assert (cut / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (cut, whole)]
    assert untimed(summaries[0]) == untimed(summaries[1])
