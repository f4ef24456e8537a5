"""A run folder as the viewer reads it: its rows, what they were asked, and how it was decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dllmkit.errors import DllmkitError
from dllmkit.observe.trace import Trace
from dllmkit.rundir import RECIPE, TRACE

_SLOTS = ("block_scheduler", "context_window", "cache_policy", "unmask_selector")
_AT_ONCE = 32  # rows held in memory


@dataclass(frozen=True)
class ViewedRun:
    """A folder that `dllmkit run --out` wrote, finished or not."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> ViewedRun:
        """Look into a run folder; DllmkitError if it has no trace of a step."""
        if not path.exists():
            raise DllmkitError(f"{path} does not exist: give a folder that `dllmkit run RECIPE --out DIR` wrote")
        if not (path / TRACE).is_file():
            raise DllmkitError(f"{path} has no {TRACE}: give a folder that `dllmkit run RECIPE --out DIR` wrote")
        run = cls(path)
        if not run.rows:
            raise DllmkitError(f"{path / TRACE} has no step yet: nothing to show")
        return run

    @cached_property
    def rows(self) -> list[int]:
        """The rows of which the trace has at least one step, by request index."""
        rows = set()
        with (self.path / TRACE).open("rb") as file:
            for text in file:
                if b'"schema":1,' in text[:40]:
                    break  # loading it says what is wrong
                if text.endswith(b"\n") and b'"kind":"step"' in text[:40]:
                    rows.add(json.loads(text)["row"])
        return sorted(rows) or Trace.load(self.path / TRACE).rows()

    def traces(self, rows: Sequence[int]) -> Iterator[Trace]:
        """A trace that has each of `rows`, in order: some rows at a time, as a large run may not fit into memory."""
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            trace = Trace.load(self.path / TRACE, only=part)
            yield from [trace] * len(part)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @cached_property
    def components(self) -> str:
        """The components of the recipe, in the order of the hook points; nothing if the recipe is not there."""
        import yaml

        try:
            recipe = yaml.safe_load((self.path / RECIPE).read_text(encoding="utf-8"))
            decode: Mapping[str, Any] = recipe["decode"]
            parts = [_component(decode[slot]) for slot in _SLOTS if slot in decode]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            return ""
        released = ["as released"] if decode.get("as_released") else []
        return " · ".join([f"model {recipe['model']['path']}", *parts, *released])


def _component(given: Any) -> str:
    """A component in few words: its name, and the parameters that are plain numbers."""
    if isinstance(given, str):
        return given
    values = [f"{key} {value}" for key, value in given.items() if key != "name" and type(value) in (int, float)]
    return f"{given['name']} ({', '.join(values)})" if values else str(given["name"])
