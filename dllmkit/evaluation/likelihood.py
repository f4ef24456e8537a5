"""Log-likelihoods of a masked diffusion model: LLaDA's Monte Carlo bound (arXiv 2502.09992, equations 6 and 14).

The model gives no likelihood, but a lower bound of it: mask a uniformly drawn number of the target's tokens, and weigh the
cross-entropy at the masked ones by the inverse of the share that is masked. The prompt is never masked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dllmkit.inputs import prepare
from dllmkit.lane import Lane
from dllmkit.plan import pack
from dllmkit.policy import Policy
from dllmkit.signals import Signals
from dllmkit.state import Request, Row

if TYPE_CHECKING:
    from dllmkit.models.model import DiffusionModel


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Estimates log p(target | prefix) with `samples` maskings, `batch_size` at a time.

    The number of masked tokens is spread evenly over 1..len(target) from a random start (as LLaDA's code spreads it over a
    batch), which lowers the variance and keeps each sample unbiased. Random numbers depend on seed, prefix and target alone,
    so neither batch nor order changes an estimate. In a shifted model a target token at position 0 has no row that predicts
    it: give a prefix.
    """

    model: DiffusionModel
    samples: int = 128
    seed: int = 0
    batch_size: int = 1

    def bound(self, prefix: Sequence[int], target: Sequence[int]) -> float:
        """Estimate the bound in nats; for one token it is the exact log-probability, of one forward."""
        if not target:
            return 0.0
        maskings = list(self._maskings(prefix, target))
        total = 0.0
        for start in range(0, len(maskings), self.batch_size):
            batch = maskings[start : start + self.batch_size]  # of bool [target]
            for masked, values in zip(batch, self._log_probabilities(prefix, target, batch), strict=True):
                total += float(values.sum()) * len(target) / int(masked.sum())
        return total / len(maskings)

    def is_greedy(self, prefix: Sequence[int], target: Sequence[int]) -> bool:
        """Whether committing the most confident token at a time gives the target; one forward per token."""
        wanted = np.asarray(target)
        row = self._row(prefix, target, np.ones(len(target), dtype=bool))
        for _ in target:
            logits = self._logits([row])  # [masked, vocabulary]
            logits = logits.index_fill(1, torch.tensor([row.request.mask_id], device=logits.device), float("-inf"))
            confidence, tokens = logits.softmax(dim=-1).max(dim=-1)
            best = int(confidence.argmax())
            position, token = int(row.eligible[best]), int(tokens[best])
            if token != wanted[position - len(prefix)]:
                return False
            row.commit(np.array([position]), np.array([token]), np.zeros(1))
            row.eligible = row.masks(0, row.length)
        return True

    def _maskings(self, prefix: Sequence[int], target: Sequence[int]) -> Iterator[np.ndarray]:
        """Which tokens of the target are masked, bool [target], once per sample."""
        n = len(target)
        if n == 1:
            yield np.ones(1, dtype=bool)
            return
        seed = hashlib.sha256(repr((self.seed, tuple(prefix), tuple(target))).encode()).digest()
        draw = np.random.default_rng(int.from_bytes(seed[:8], "big"))
        start = draw.integers(1, n + 1)
        for sample in range(self.samples):
            count = (start + sample * n // self.samples - 1) % n + 1
            masked = np.zeros(n, dtype=bool)
            masked[draw.permutation(n)[:count]] = True
            yield masked

    def _log_probabilities(
        self, prefix: Sequence[int], target: Sequence[int], maskings: Sequence[np.ndarray]
    ) -> list[torch.Tensor]:
        """Log-probability of each masked token in each masking, [masked] float64 on the CPU."""
        rows = [self._row(prefix, target, masked) for masked in maskings]
        logits = self._logits(rows)  # [masked of all rows, vocabulary]
        wanted = torch.from_numpy(np.concatenate([np.asarray(target)[masked] for masked in maskings]))
        chosen = logits.log_softmax(dim=-1).gather(1, wanted.to(logits.device)[:, None]).squeeze(1)
        return list(torch.split(chosen.double().cpu(), [int(masked.sum()) for masked in maskings]))

    def _row(self, prefix: Sequence[int], target: Sequence[int], masked: np.ndarray) -> Row:
        """A row in which what is not masked is committed, and all is recomputed."""
        architecture = self.model.architecture
        row = Row(Request(0, tuple(prefix), len(target), architecture.special.mask_id, (), architecture.shift))
        given = np.flatnonzero(~masked)
        row.commit(given + len(prefix), np.asarray(target)[given], np.zeros(len(given)))
        row.visible = row.query = np.arange(row.length)
        row.eligible = row.masks(0, row.length)
        return row

    @torch.inference_mode()
    def _logits(self, rows: Sequence[Row]) -> torch.Tensor:
        """One full forward of rows of one length; logits [masked of all rows, vocabulary], float32 or wider."""
        model, nothing = self.model, Signals()
        memory = model.new_memory(nothing, len(rows), rows[0].length, stored=False)
        (plan,) = pack([_lane(row, slot) for slot, row in enumerate(rows)], None)
        inputs = prepare(plan, None, memory).typed()
        states = model.forward(inputs, nothing).states.flatten(0, 1).index_select(0, inputs.sources)
        logits = model.logits(states)
        return logits if logits.dtype == torch.float64 else logits.float()


class _NoSelection:
    """Stands for the selector of a row of which nothing is chosen."""

    patience = 0

    def inputs(self, row: Row) -> Sequence[float]:
        """No numbers."""
        return ()


def _lane(row: Row, slot: int) -> Lane:
    none: Any = None  # a plan asks a lane for nothing but its row, its slot and its selection
    policy = Policy(none, none, none, none)
    return Lane(row, slot, policy, none, none, none, _NoSelection(), (), torch.Generator(), 0.0)
