"""Run folders for tests of the viewer, made of a toy's decode: no checkpoint, no command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dllmkit.models.model import DiffusionModel
from dllmkit.observe.trace import Trace
from dllmkit.result import Result
from dllmkit.rundir import RECIPE, TRACE
from dllmkit.state import Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_dawn.dawn import Dawn

MODEL = toy_model(7, width=16, heads=2, kv_heads=1)
DAWN = Dawn(tau_high=0.6, tau_sink=0.08, tau_edge=0.03, tau_induce=0.3, tau_low=0.2, layers=1)
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{script}}{{data}}\"'&<!--\u2028\u202e\x1b[31m\ud800"
)
DECODE = "decode:\n  unmask_selector: {name: dawn, tau_high: 0.6}\n  cache_policy: none\nmodel: {path: toy}\n"


def finished(row: Row) -> Result:
    """A result as far as a trace needs it."""
    tokens, n = row.canvas.tolist(), row.gen_length
    return Result(
        row.request.index, f"answer {row.request.index}", tokens, row.prompt_length, row.nfe, row.n_committed,
        row.query_lengths, row.visible_lengths, row.commit_step.tolist(), [None] * n, row.stop_reason, 0.0, n,
    )  # fmt: skip


def write_run(
    path: Path, prompts: Sequence[Sequence[int]] = ((1, 2, 3),), *, texts: Any = str, details: bool = True,
    gen_length: int = 24, model: DiffusionModel = MODEL, **components: Any,
) -> Path:  # fmt: skip
    """Decode prompts with DAWN, unless told otherwise, and write the folder."""
    policy = toy_policy(**{"unmask_selector": DAWN, **components})
    rows, steps = toy_decode(model, prompts, policy, gen_length=gen_length, batch_size=2, details=details)
    path.mkdir(parents=True)
    with (path / TRACE).open("w", encoding="utf-8") as file:
        trace = Trace(file=file, keep=False, text_of=texts, details=details)
        for step in steps:
            trace.on_step(step)
            if step.finished:
                trace.on_result(finished(rows[step.row]))
    (path / RECIPE).write_text(DECODE)
    return path
