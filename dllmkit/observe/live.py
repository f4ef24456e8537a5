"""The canvas filling up in a terminal: confidence as shade, block and cache visible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.text import Text

from dllmkit.result import Result
from dllmkit.step import StepRecord

MASK, HIDDEN = "·", " "


@dataclass(slots=True, eq=False)
class LiveView:
    """Shows one row at a time: the one that was begun first and is not finished. Use it as a context manager and observer."""

    text_of: Callable[[int], str]  # a token's text
    console: Console
    total: int = 1  # prompts of the run
    done: int = 0  # of these, finished
    _live: Live | None = None
    _row: int | None = None
    _confidence: dict[int, float] = field(default_factory=dict)
    _nfe: int = 0
    _query_tokens: int = 0

    def __enter__(self) -> LiveView:
        self._live = Live(console=self.console, refresh_per_second=15, transient=True)
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def on_step(self, step: StepRecord) -> None:
        """Draw the canvas after a step."""
        if self._row is None:
            self._row, self._nfe, self._query_tokens = step.row, 0, 0
            self._confidence.clear()
        if step.row != self._row:
            return
        self._nfe += 1
        self._query_tokens += len(step.query)
        self._confidence.update(zip(step.chosen.tolist(), step.confidence.tolist(), strict=True))
        if self._live is not None:
            self._live.update(self.render(step))

    def on_result(self, result: Result) -> None:
        """Go on with the next row."""
        self.done += 1
        if result.index == self._row:
            self._row = None

    def render(self, step: StepRecord) -> Panel:
        """Draw one step."""
        canvas = Text(no_wrap=False)
        visible, query = _flags(step.visible, len(step.canvas)), _flags(step.query, len(step.canvas))
        new = set(step.chosen.tolist())
        for position in range(step.prompt_length, len(step.canvas)):
            shown, style = self._cell(step, position, bool(visible[position]), position in new)
            in_block = step.block[0] <= position < step.block[1]
            if not query[position] and visible[position]:
                style += " italic"
            canvas.append(shown, style + (" underline" if in_block else ""))
        left = int((step.canvas[step.prompt_length :] == step.mask_id).sum())
        status = Text(
            f"step {step.step + 1}  {'refresh' if step.refresh else 'refine'}  block [{step.block[0]}, {step.block[1]})  "
            f"+{len(step.chosen)} tokens  {left} masks left  {self._nfe} forwards  {self._query_tokens} query tokens",
            "dim",
        )
        legend = Text(f"underlined: block  italic: read from the cache  {MASK} mask  blank: not visible", "dim")
        parts: list[RenderableType] = [canvas, status, legend]
        if self.total > 1:
            bar = ProgressBar(total=self.total, completed=self.done, width=40)
            parts.append(Columns([bar, Text(f"{self.done} of {self.total} prompts")]))
        return Panel(Group(*parts), title=f"prompt {step.row}", border_style="dim")

    def _cell(self, step: StepRecord, position: int, visible: bool, new: bool) -> tuple[str, str]:
        if position not in self._confidence:
            return (MASK if visible else HIDDEN), "dim"
        shade = 255 - round(14 * (1 - min(max(self._confidence[position], 0.0), 1.0)))  # grey levels 241 to 255
        token = self.text_of(int(step.canvas[position])).replace("\n", "↵\n")
        return token or "∅", f"{'bold ' if new else ''}color({shade})"


def _flags(positions: np.ndarray, length: int) -> np.ndarray:
    flags = np.zeros(length, dtype=bool)
    flags[positions] = True
    return flags
