"""One problem: a prompt, the answer that training shows, and the final value that a reply must reach."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Problem:
    """A generated problem; `answer` is the worked text, `final` the part of it that is compared exactly."""

    kind: str
    prompt: str
    answer: str
    final: str
