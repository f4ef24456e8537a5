"""A commit schedule: so many tokens at each forward, whatever the confidences are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.errors import DllmkitError

if TYPE_CHECKING:
    import torch

    from dllmkit.proposal import Proposal
    from dllmkit.signals import Signals
    from dllmkit.slots import Selection, UnmaskSelector
    from dllmkit.state import Positions, Row


@dataclass(frozen=True)
class Counts:
    """How many tokens a row has committed after each of its forwards; it starts over at its end."""

    totals: tuple[int, ...]  # after forward 1, 2, ...: never less than the one before, and the last one above 0

    def __post_init__(self) -> None:
        rising = all(a <= b for a, b in zip((0, *self.totals), self.totals, strict=False))
        if not self.totals or not rising or self.totals[-1] < 1:
            raise ValueError(f"totals of a schedule rise to at least 1, not {self.totals}")

    @classmethod
    def of(cls, counts: Sequence[int]) -> Counts:
        """Take tokens per forward."""
        return cls(tuple(accumulate(counts)))

    def due(self, forwards: int) -> int:
        """Return the tokens committed after so many forwards."""
        times, rest = divmod(forwards, len(self.totals))
        return times * self.totals[-1] + (self.totals[rest - 1] if rest else 0)

    @property
    def longest_wait(self) -> int:
        """The most forwards in a row that commit nothing."""
        steps = [b - a for a, b in zip((0, *self.totals), self.totals, strict=False)]
        waits = [sum(1 for _ in run) for zero, run in groupby(steps * 2, key=lambda n: n == 0) if zero]
        return max(waits, default=0)


@dataclass(frozen=True)
class Rate:
    """A steady number of tokens per forward: floor(k rate) are committed after k forwards."""

    rate: float  # at least 1: below that the engine commits one all the same
    longest_wait = 0

    def due(self, forwards: int) -> int:
        """Return the tokens committed after so many forwards."""
        return int(forwards * self.rate + 1e-9)  # 100 * 2.3 is to be 230


@dataclass(frozen=True)
class CommitSchedule:
    """The schedule of a run: one for each recorded row, taken in turn by the requests."""

    source: str
    rows: tuple[Counts | Rate, ...] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> CommitSchedule:
        """Take a number (tokens per forward, at least 1) or a file: `trace.jsonl` of a run, or a JSON list of counts.

        A list of lists holds one schedule for each request. Raises DllmkitError, naming the file and what is wrong in it.
        """
        try:
            rate = float(text)
        except ValueError:
            return cls(text, _read_file(Path(text)))
        if not 1 <= rate < float("inf"):
            raise DllmkitError(f"--commit-schedule {text}: expected at least 1 token per forward, or a file")
        return cls(text, (Rate(rate),))

    def pace(self, selector: UnmaskSelector) -> Paced:
        """Put the schedule around a selector."""
        return Paced(selector, self.rows)


@dataclass(frozen=True)
class Paced:
    """Computes what a selector would choose, and commits the number of tokens that a schedule says.

    The most confident eligible masks are committed. What a forward could not commit, because fewer were eligible, is due at
    the next one. The inner selector runs as ever, so its signals and its time stay; only its choice is not used.
    """

    inner: UnmaskSelector
    rows: tuple[Counts | Rate, ...] = field(repr=False)

    @property
    def signals(self) -> Signals:
        """Those of the inner selector."""
        return self.inner.signals

    def begin(self, row: Row) -> Selection:
        """Start a sequence: request i follows schedule i modulo their number."""
        inner = self.inner.begin(row)
        kind = _Extra if hasattr(inner, "extra") else _Pace
        return kind(inner, self.rows[row.request.index % len(self.rows)])

    def select(self, proposal: Proposal) -> torch.Tensor:
        """Choose the first k columns by confidence; ties go to the lower position."""
        import torch

        from dllmkit.proposal import ranks

        count = proposal.inputs[:, :1]  # [rows, 1]
        asked = self.inner.select(replace(proposal, inputs=proposal.inputs[:, 1:]))  # [rows, width]
        allowed = proposal.eligible
        picked = (ranks(proposal.confidence.masked_fill(~allowed, float("-inf"))) < count) & allowed
        # never: a count is at least 0; written so that no compiler can leave the inner selector out
        return torch.where(count < 0, asked, picked)


class _Pace:
    """Keeps account of one row: what is due by now minus what was committed."""

    def __init__(self, inner: Selection, counts: Counts | Rate) -> None:
        self._inner, self._counts = inner, counts
        self.patience = max(inner.patience, counts.longest_wait)

    def inputs(self, row: Row) -> tuple[float, ...]:
        due = self._counts.due(row.step + 1) - row.n_committed
        return (max(0, due), *self._inner.inputs(row))


class _Extra(_Pace):
    """For selectors that ask for extra positions, as a released one does."""

    def extra(self, row: Row) -> Positions:
        positions: Positions = self._inner.extra(row)  # type: ignore[attr-defined]
        return positions


def _read_file(path: Path) -> tuple[Counts, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DllmkitError(f"--commit-schedule {path}: no such file, and not a number of tokens per forward") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DllmkitError(f"--commit-schedule {path} cannot be read: {error}") from None
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # a trace has an object on each line
    rows = _from_trace(path) if value is None or isinstance(value, dict) else _from_list(path, value)
    for number, counts in enumerate(rows):
        if not sum(counts):
            raise DllmkitError(f"--commit-schedule {path}: schedule {number} commits no token")
    return tuple(Counts.of(counts) for counts in rows)


def _from_list(path: Path, value: Any) -> list[list[int]]:
    rows = value if isinstance(value, list) and value and all(isinstance(v, list) for v in value) else [value]
    for row in rows:
        whole = isinstance(row, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in row)
        if not whole:
            raise DllmkitError(
                f"--commit-schedule {path}: expected a JSON list of tokens per forward such as [1, 4, 2], a list of such "
                "lists, or a trace.jsonl"
            )
    return rows


def _from_trace(path: Path) -> list[list[int]]:
    from dllmkit.observe.trace import Trace

    trace = Trace.load(path)
    if not trace.steps:
        raise DllmkitError(f"--commit-schedule {path}: the trace has no step")
    return [[len(step.chosen) for step in trace.of(row)] for row in trace.rows()]
