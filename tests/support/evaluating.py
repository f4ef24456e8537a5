"""Evaluations for tests: a short recipe of the bundled model, and what its folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHORT = ("fast_dllm/tiny-parallel", "decode.gen_length=64", "decode.unmask_selector.tau=0.7", "runtime.dtype=float32")
SLOW = (*SHORT[:2], "decode.unmask_selector=quota", SHORT[3])  # a forward per token
TIMES = {"seconds", "run_seconds", "tps", "tps_answer"}


def command(*options: str, limit: int = 7, recipe: tuple[str, ...] = SHORT) -> tuple[str, ...]:
    """An evaluation of a few problems, less than a second of decoding unless the recipe is SLOW."""
    return ("eval", *recipe, "--task", "tiny", "--limit", str(limit), *options)


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines, a torn last one left out."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def finished(folder: Path) -> list[int]:
    """The indices of the samples that a folder has, in all its files."""
    return [record["index"] for path in sorted(folder.glob("samples*.jsonl")) for record in lines(path)]


def untimed(value: Any) -> Any:
    """A summary without what the clock and the interruptions change."""
    if isinstance(value, dict):
        left_out = TIMES | {"files", "sessions", "processes"}
        return {key: untimed(item) for key, item in value.items() if key not in left_out}
    return value
