"""The canvas filling up in a terminal: confidence as shade, block and cache visible."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from dllmkit.result import Result
from dllmkit.step import StepRecord

MASK, BLOCK_MASK, HIDDEN, END = "·", "░", " ", "∎"
SHADES = tuple(
    f"rgb({48 - 6 * i},{54 + 11 * i},{64 + 8 * i})" for i in range(8)
)  # backgrounds: slate, confidence 0, to teal, 1
FRAMES_PER_SECOND = 12
_NEW, _CACHED = Style(color="black", bgcolor="rgb(255,215,95)", bold=True, dim=False), Style(italic=True, dim=True)
_BAND, _FAINT = Style(color="rgb(200,150,0)", dim=False), Style(dim=True)
_DONE = Style(color="rgb(6,131,120)", dim=False)
_MARGIN, _WIDEST = 3, 120  # columns: the terminal writes ^C behind the last line, and must not wrap there
_OTHERS = 4  # rows of the batch shown as a bar


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is known of a row after a step."""

    step: StepRecord
    confidence: np.ndarray  # [length], NaN where no step committed
    query_tokens: int  # over all steps so far
    canvas: np.ndarray  # as the step left it, or filled in by a stop rule

    @property
    def share(self) -> float:
        """Generated positions that are decided, as a share."""
        decided = ~np.isnan(self.confidence[self.step.prompt_length :])
        return 1.0 if self.step.finished else float(decided.mean())


@dataclass(slots=True, eq=False)
class LiveView:
    """Shows the row that was begun first and is not finished, and the others as bars: a context manager and an observer.

    Decoding only stores each step; a thread of rich draws a few frames a second. One prompt leaves its last frame on the
    screen, several leave nothing.
    """

    text_of: Callable[[int], str]  # a token's text
    console: Console
    total: int = 1  # prompts of the run
    done: int = 0  # of these, finished
    ends: Collection[int] = ()  # tokens that end an answer
    _rows: dict[int, Frame] = field(default_factory=dict)
    _last: Frame | None = None
    _live: Live | None = None

    def __post_init__(self) -> None:
        self.text_of = functools.cache(self.text_of)

    def __enter__(self) -> LiveView:
        self._live = Live(
            console=self.console, get_renderable=lambda: self, refresh_per_second=FRAMES_PER_SECOND,
            transient=self.total > 1, redirect_stdout=False,
        )  # fmt: skip
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.transient = self.total > 1 or kind is not None
            self._live.__exit__(kind, error, trace)

    def on_step(self, step: StepRecord) -> None:
        """Keep a step for the next frame."""
        before = self._rows.get(step.row)
        confidence = np.full(len(step.canvas), np.nan) if before is None else before.confidence.copy()
        confidence[step.chosen] = step.confidence
        queried = len(step.query) + (before.query_tokens if before is not None else 0)
        self._rows[step.row] = Frame(step, confidence, queried, step.canvas)

    def on_result(self, result: Result) -> None:
        """Go on with the next row."""
        frame = self._rows.pop(result.index, None)
        self.done += 1
        if frame is not None:
            self._last = Frame(frame.step, frame.confidence, frame.query_tokens, np.array(result.tokens))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = list(self._rows.values())  # a copy: the decoding thread goes on
        shown = rows[0] if rows else self._last
        if shown is None:
            yield Text("the first forward is under way", _FAINT)
            return
        others = [] if shown is self._last else rows[1 : 1 + _OTHERS]
        panel = min(options.max_width - _MARGIN, _WIDEST)
        width, status = panel - 4, _status(shown)
        lines = list(self._lines(shown, width))
        taken = (
            4 + len(status.wrap(console, width)) + len(others) + (self.total > 1)
        )  # rows of the screen besides the canvas
        room = max(3, options.size.height - taken)
        parts = Table.grid(expand=True)
        for line in _around(lines, self._line_at_work(lines), room):
            parts.add_row(line)
        parts.add_row(Text())
        parts.add_row(status)
        for other in others:
            parts.add_row(_bar(f"prompt {other.step.row + 1}", other.share))
        if self.total > 1:
            parts.add_row(_bar(f"{self.done} of {self.total} prompts finished", self.done / self.total))
        yield Panel(
            parts, title=Text(f"prompt {shown.step.row + 1} of {self.total}"), title_align="left",
            subtitle=_legend(shown), subtitle_align="left", border_style="dim", width=panel,
        )  # fmt: skip

    def _lines(self, frame: Frame, width: int) -> Iterator[Text]:
        """Lay the generated positions out, breaking lines at tokens and at newlines."""
        line = Text(no_wrap=True, overflow="crop", end="")
        for text, style in self._cells(frame):
            parts = text.split("\n")
            for number, part in enumerate(parts):
                if number or line.cell_len + cell_len(part) > width:
                    yield line
                    line = Text(no_wrap=True, overflow="crop", end="")
                line.append(part, style)
        yield line

    def _cells(self, frame: Frame) -> Iterator[tuple[str, Style]]:
        step = frame.step
        visible, query, new = (_flags(p, len(frame.canvas)) for p in (step.visible, step.query, step.chosen))
        filled = 0
        for position in range(step.prompt_length, len(frame.canvas)):
            token, confidence = int(frame.canvas[position]), float(frame.confidence[position])
            if np.isnan(confidence):
                if token in self.ends:  # filled in by a stop rule
                    filled += 1
                elif step.block[0] <= position < step.block[1]:
                    yield BLOCK_MASK, _BAND
                else:
                    yield (MASK if visible[position] else HIDDEN), _FAINT
                continue
            style = _NEW if new[position] and not step.finished else _shade(confidence)
            if not query[position] and visible[position]:
                style += _CACHED
            yield (END if token in self.ends else printable(self.text_of(token)).replace("\n", "↵\n")) or "∅", style
        if filled:
            yield f" {END} x {filled}", _FAINT

    @staticmethod
    def _line_at_work(lines: list[Text]) -> int:
        """The line to keep on the screen: the first with a mask of the block, or the last with text."""
        at_work = [i for i, line in enumerate(lines) if BLOCK_MASK in line.plain]
        if at_work:
            return at_work[0]
        return max((i for i, line in enumerate(lines) if line.plain.strip(MASK + END)), default=0)


def printable(text: str) -> str:
    """Replace what would move the cursor or change the terminal by pictures; newlines stay."""
    return "".join(_picture(c) if unicodedata.category(c) in ("Cc", "Cf") and c != "\n" else c for c in text)


def _picture(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return "  "
    return (
        chr(0x2400 + code)
        if code < 0x20
        else "␡"
        if code == 0x7F
        else ""
        if code == 0x200D
        else "\N{REPLACEMENT CHARACTER}"
    )


@functools.cache
def _style(shade: str) -> Style:
    return Style(color="rgb(255,255,255)", bgcolor=shade, dim=False)


def _shade(confidence: float) -> Style:
    return _style(SHADES[min(int(max(confidence, 0.0) * len(SHADES)), len(SHADES) - 1)])


def _around(lines: list[Text], at: int, room: int) -> list[Text]:
    """Cut lines to what fits, with the one at work in the middle."""
    if len(lines) <= room:
        return lines
    start = min(max(0, at - room // 2), len(lines) - room)
    cut = lines[start : start + room]
    if start:
        cut[0] = Text(f"⋮ {start + 1} lines above", _FAINT)
    if below := len(lines) - start - room:
        cut[-1] = Text(f"⋮ {below + 1} lines below", _FAINT)
    return cut


def _status(frame: Frame) -> Text:
    step = frame.step
    decided = int((~np.isnan(frame.confidence)).sum())
    block = (step.block[0] - step.prompt_length, step.block[1] - step.prompt_length)
    kind = f"finished: {step.stop_reason}" if step.finished else "refresh" if step.refresh else "refine"
    query = f"query {len(step.query)} of {len(step.visible)}"
    return Text(
        f"step {step.step + 1}  {kind}  block {block[0]}-{block[1]}  {query}  "
        f"{decided / (step.step + 1):.1f} tokens/forward  {frame.query_tokens:,} query tokens"
    )


def _legend(frame: Frame) -> Text:
    legend = Text("confidence 0 ")
    for shade in SHADES:
        legend.append(" ", _style(shade))
    legend.append(" 1  ").append("new", _NEW).append("  ").append(BLOCK_MASK, _BAND).append(f" block  {MASK} mask")
    if len(frame.step.query) < len(frame.step.visible):
        legend.append("  ").append("read from cache", _CACHED)
    return legend


def _bar(label: str, share: float) -> Table:
    bar = Table.grid(padding=(0, 1, 0, 0))
    bar.add_row(ProgressBar(1.0, share, 30, complete_style=_DONE, finished_style=_DONE), Text(label, _FAINT))
    return bar


def _flags(positions: np.ndarray, length: int) -> np.ndarray:
    flags = np.zeros(length, dtype=bool)
    flags[positions] = True
    return flags
