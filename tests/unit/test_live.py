"""The live view: what a user sees of a step."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from dllmkit.observe.live import BLOCK_MASK, MASK, SHADES, LiveView, printable
from dllmkit.result import Result
from dllmkit.state import Request
from dllmkit.step import StepRecord

MASK_ID, END_ID = 99, 98
WORDS = {1: "one", 2: " two", 3: "\n", 4: "数字", 5: "", 6: "\x1b[31m", END_ID: "<|end|>", 7: "x" * 200}


def step(canvas: list[int], chosen: dict[int, float], number: int = 0, row: int = 0, **changes: object) -> StepRecord:
    """A step on a canvas behind a prompt of two tokens; everything is visible and recomputed, block [2, 4)."""
    everything = np.arange(len(canvas) + 2)
    fields: dict[str, object] = {
        "request": Request(row, (50, 51), len(canvas), MASK_ID), "step": number, "block": (2, 4), "refresh": True,
        "visible": everything, "query": everything,
        "eligible": everything, "chosen": np.array(sorted(chosen), dtype=np.int64) + 2,
        "tokens": np.array([canvas[p] for p in sorted(chosen)], dtype=np.int64),
        "confidence": np.array([chosen[p] for p in sorted(chosen)]), "canvas": np.array([50, 51, *canvas]),
        "finished": False, "stop_reason": None,
    }  # fmt: skip
    return StepRecord(**{**fields, **changes})  # type: ignore[arg-type]


def result(index: int, tokens: list[int]) -> Result:
    n = len(tokens)
    return Result(index, None, [50, 51, *tokens], 2, 1, n, [1], [1], [0] * n, [0.5] * n, "eos", 0.1, n)


def view(
    total: int = 1, width: int = 100, height: int = 24, text_of: Callable[[int], str] = WORDS.__getitem__
) -> LiveView:
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        width=width,
        height=height,
        legacy_windows=False,
    )
    return LiveView(text_of, console, total, 0, (END_ID,))


def drawn(live: LiveView, styles: bool = False) -> str:
    with live.console.capture() as capture:
        live.console.print(live)
    return capture.get() if styles else re.sub(r"\x1b\[[0-9;]*m", "", capture.get())


def canvas_of(text: str) -> list[str]:
    """The lines in the panel, before the blank one."""
    inner = [line[2:-1].rstrip() for line in text.splitlines()[1:]]
    return inner[: inner.index("")]


def escape(color: tuple[int, int, int]) -> str:
    return f"48;2;{color[0]};{color[1]};{color[2]}"


def shade(number: int) -> str:
    red, green, blue = re.findall(r"\d+", SHADES[number])
    return escape((int(red), int(green), int(blue)))


def test_masks_block_and_tokens() -> None:
    live = view()
    live.on_step(step([1, MASK_ID, MASK_ID, 2, MASK_ID], {0: 0.9, 3: 0.2}, visible=np.arange(6), query=np.arange(6)))
    text = drawn(live)
    assert canvas_of(text) == [f"one{BLOCK_MASK}{MASK} two"]  # the last position is not visible: blank
    assert "prompt 1 of 1" in text
    assert "step 1  refresh  block 0-2  query 6 of 6  2.0 tokens/forward  6 query tokens" in text
    assert "cache" not in text


def test_confidence_is_the_shade_and_new_tokens_stand_out() -> None:
    live = view()
    live.on_step(step([1, MASK_ID, MASK_ID], {0: 0.01}))
    assert re.search(r"\x1b\[1;30;48;2;255;215;95mone", drawn(live, styles=True))
    live.on_step(step([1, 2, MASK_ID], {1: 0.999}, number=1))
    assert re.search(rf"{shade(0)}mone", drawn(live, styles=True))  # of the first step: unsure
    live.on_step(step([1, 2, 1], {2: 0.5}, number=2))
    assert re.search(rf"{shade(-1)}m two", drawn(live, styles=True))  # of the second step: sure
    assert "1.0 tokens/forward  15 query tokens" in drawn(live)


def test_what_is_read_from_the_cache_is_italic() -> None:
    live = view()
    live.on_step(step([1, MASK_ID, 2], {0: 0.9, 2: 0.9}))
    live.on_step(step([1, 1, 2], {1: 0.9}, number=1, refresh=False, query=np.array([3])))
    text = drawn(live, styles=True)
    assert re.search(r"\x1b\[2;3;[0-9;]*mone", text)
    assert re.search(r"\x1b\[2;3;[0-9;]*m two", text)
    assert not re.search(r"\x1b\[[0-9;]*3;1;[0-9;]*mone", text)
    assert "read from cache" in drawn(live)
    assert "refine  block 0-2  query 1 of 5" in drawn(live)


def test_tokens_that_are_not_plain_text() -> None:
    live = view()
    live.on_step(step([1, 3, 4, 5, 6, END_ID], dict.fromkeys(range(6), 0.9)))
    assert canvas_of(drawn(live)) == ["one↵", "数字∅␛[31m∎"]
    assert "\x1b[31m" not in drawn(live, styles=True)
    assert printable("a\tb\rc\x7f\x85\u202e\ud7ff\n") == "a  b␍c␡\ufffd\ufffd\ud7ff\n"


def test_lines_fit_whatever_the_width_of_characters() -> None:
    for width in range(30, 44):
        live = view(width=width)
        live.on_step(step([4, 1, 4, 2] * 12, dict.fromkeys(range(48), 0.9)))
        lines = drawn(live).splitlines()
        cells = {sum(2 if c in "数字" else 1 for c in line) for line in lines}
        assert cells == {width - 3}  # room for the ^C of the terminal, which would move the cursor down
        shown = "".join(line[2:-2].rstrip() for line in lines[1:]).split("step")[0]
        assert shown.replace(" ", "").startswith("数字one数字two" * 12)


def test_a_token_wider_than_the_terminal_is_cut() -> None:
    live = view(width=40)
    live.on_step(step([7, 1], {0: 0.9, 1: 0.9}))
    assert {len(line) for line in drawn(live).splitlines()} == {37}


def test_a_long_canvas_keeps_the_block_on_the_screen() -> None:
    for at in (0, 500, 990):
        live = view(width=40, height=20)
        live.on_step(step([MASK_ID] * 1000, {}, block=(2 + at, 2 + at + 8)))
        text = drawn(live)
        assert 17 <= len(text.splitlines()) < 20
        assert BLOCK_MASK * 4 in text.split("step")[0]
        assert ("lines above" in text, "lines below" in text) == (at > 0, at < 990)


def test_other_rows_of_the_batch_are_bars_and_take_over() -> None:
    live = view(total=3)
    live.on_step(step([1, MASK_ID], {0: 0.9}, row=1))
    live.on_step(step([2, 1, MASK_ID, MASK_ID], {0: 0.9, 1: 0.9}, row=0))  # ragged
    text = drawn(live)
    assert "prompt 2 of 3" in text
    assert canvas_of(text) == [f"one{BLOCK_MASK}"]
    assert re.search(r"╺?━* prompt 1\b", text)
    assert "0 of 3 prompts finished" in text
    live.on_result(result(1, [1, 1]))
    text = drawn(live)
    assert "prompt 1 of 3" in text
    assert canvas_of(text) == [f" twoone{MASK}{MASK}"]
    assert "1 of 3 prompts finished" in text


def test_the_last_frame_shows_what_a_stop_rule_filled() -> None:
    live = view()
    live.on_step(step([1, END_ID, MASK_ID, MASK_ID], {0: 0.9, 1: 0.9}, finished=True, stop_reason="eos"))
    live.on_result(result(0, [1, END_ID, END_ID, END_ID]))
    assert canvas_of(drawn(live)) == ["one∎ ∎ x 2"]
    assert "finished: eos" in drawn(live)


def test_before_the_first_step() -> None:
    assert drawn(view()).strip() == "the first forward is under way"


@pytest.mark.parametrize(("total", "error"), [(1, None), (2, None), (1, KeyboardInterrupt), (2, KeyboardInterrupt)])
def test_the_terminal_is_restored(total: int, error: type[BaseException] | None) -> None:
    live = view(total=total)
    try:
        with live:
            live.on_step(step([1, MASK_ID], {0: 0.9}))
            if error is not None:
                raise error
    except KeyboardInterrupt:
        pass
    assert isinstance(live.console.file, io.StringIO)
    written = live.console.file.getvalue()
    assert written.index("\x1b[?25l") < written.rindex("\x1b[?25h")  # the cursor is hidden, then shown
    assert "one" in written
    erased = re.sub(r"\x1b\[\?25h", "", written).endswith("\x1b[2K")
    assert erased == (total > 1 or error is not None)  # only one prompt's last frame stays


def test_each_token_is_read_once() -> None:
    asked: list[int] = []

    def text_of(token: int) -> str:
        asked.append(token)
        return "t"

    live = view(text_of=text_of)
    live.on_step(step([1, 1, 2, 1], dict.fromkeys(range(4), 0.9)))
    drawn(live)
    drawn(live)
    assert sorted(asked) == [1, 2]
