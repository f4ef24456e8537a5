"""One problem of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt with the answer it is judged by, as JSON data: what that is depends on the matcher.

    `id` is unique in its task; `kind` groups problems in tables.
    """

    id: str
    prompt: str
    answer: Any
    kind: str
