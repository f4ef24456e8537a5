"""The parts of a step by name, so that profilers and benchmarks can time them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

NAMES = ("schedule", "context", "cache", "pack", "forward", "propose", "select", "commit", "step")
"""In the order of the loop; a compiled step does forward, propose and select as one, called `step`."""


class Phases(Protocol):
    """Called with a name of `NAMES` when that part of a step begins; the context it returns is left when it ends."""

    def __call__(self, name: str) -> AbstractContextManager[object]:
        """Return the context of one part."""
        ...


_NOTHING: AbstractContextManager[None] = nullcontext()  # has no state: one serves every part


def unwatched(name: str) -> AbstractContextManager[object]:
    """Watch nothing."""
    return _NOTHING
