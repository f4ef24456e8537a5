"""A pruned suffix: of all the masks behind the block, the model sees the nearest and the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import check_parameters, param

if TYPE_CHECKING:
    from dllmkit.slots import Context
    from dllmkit.state import Positions, Row


@dataclass(frozen=True)
class SuffixWindow:
    """See [0, e + window) of a block [s, e), and the last positions; they keep their true position ids.

    `frozen`: the horizon is set at each refresh of the cache and kept until the next (with fixed blocks and a block-wise
    cache: once per block, as Streaming-dLLM does); `follow`: it moves with the block. Without a cache every step is a
    refresh. Source: Streaming-dLLM (arXiv 2601.17917), xiaoshideta/Streaming-dLLM LLaDA-1.5/generate.py; the paper's text
    counts blocks and puts the trailing position one past the end, its code and tables count tokens, as here.
    """

    window: int = param(96, "positions seen behind the block", ge=0)
    keep_last: int = param(1, "positions seen at the very end", ge=0)
    horizon: str = param("frozen", "when the window moves", choices=("frozen", "follow"))

    def __post_init__(self) -> None:
        check_parameters(self)

    def begin(self, row: Row) -> Context:
        """Start a sequence."""
        return _Horizon(self)


class _Horizon:
    def __init__(self, policy: SuffixWindow) -> None:
        self._policy, self._horizon = policy, 0

    def __call__(self, row: Row) -> Positions:
        import numpy as np

        if row.refresh or self._policy.horizon == "follow":
            self._horizon = row.block.stop + self._policy.window
        near = min(max(row.block.stop, self._horizon), row.length)
        last = max(near, row.length - self._policy.keep_last)
        return np.concatenate([np.arange(near), np.arange(last, row.length)])
