"""The whole canvas in sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dllmkit.slots import Context
    from dllmkit.state import Row


@dataclass(frozen=True)
class Full:
    """Let the model attend to every position: prompt, committed tokens and all masks."""

    def begin(self, row: Row) -> Context:
        """Start a sequence."""
        import numpy as np

        everything = np.arange(row.length)
        return lambda row: everything
