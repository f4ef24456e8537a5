"""From a forward to a proposal: a token and its confidence at every eligible position, and the signals asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from dllmkit.models.model import DiffusionModel, Hidden
from dllmkit.plan import ForwardPlan
from dllmkit.proposal import KeyColumns, Proposal
from dllmkit.sampling import Draws, Sampler
from dllmkit.signals import Signals

ConfidenceDtype = Literal["auto", "float32", "float64", "logits"]
CHUNK = 1 << 24  # logits held at once, unless a selector asked for the whole distribution


@dataclass(frozen=True)
class Proposer:
    """Reads tokens, confidences and signals off a forward.

    `confidence_dtype`: `auto` is float32 (float64 when the logits are), `logits` the dtype of the logits, as Dream's code
    does. The mask token is never proposed; it does count in the normaliser of the confidence, as in the released code.
    """

    sampler: Sampler
    signals: Signals
    mask_id: int
    confidence_dtype: ConfidenceDtype = "auto"

    def propose(self, model: DiffusionModel, hidden: Hidden, plan: ForwardPlan) -> Proposal:
        """Run the language-model head on the rows that predict eligible positions, and measure them."""
        states = hidden.states.flatten(0, 1).index_select(0, plan.sources)  # [n, model width]
        draws = [(lane.generator, len(lane.row.proposed)) for lane in plan.lanes]
        columns = self._measure(model, states, draws)
        confidence = self._spread(columns["confidence"], plan, float("-inf"))
        attention, signals = hidden.attention, self.signals
        if signals.observed:
            self._observe(model, hidden, plan)
        asked = signals.distribution or signals.change > 0
        distribution = self._spread(columns["distribution"], plan, 0.0) if asked else None
        return Proposal(
            positions=plan.proposed,
            eligible=plan.eligible,
            tokens=self._spread(columns["tokens"], plan, 0),
            confidence=confidence,
            inputs=plan.inputs.to(confidence.dtype),  # a threshold is rounded like what it is compared with
            margin=self._spread(columns["margin"], plan, float("-inf")) if self.signals.margin else None,
            entropy=self._spread(columns["entropy"], plan, float("inf")) if self.signals.entropy else None,
            distribution=distribution if signals.distribution else None,
            change=plan.memory.change.update(plan.row_index, plan.proposed, distribution)
            if plan.memory.change is not None and distribution is not None
            else None,
            attention=attention.rows if attention else None,
            attention_queries=attention.queries if attention else None,
            attention_mean=attention.mean if attention else None,
            observed=plan.memory.observed(plan.row_index, plan.key_positions) if signals.observed else None,
            keys=KeyColumns(plan.key_positions, plan.key_committed, plan.own_key)
            if attention or signals.observed
            else None,
        )

    def _observe(self, model: DiffusionModel, hidden: Hidden, plan: ForwardPlan) -> None:
        """Note the top-1 probability that this forward gives for every position it has the row of."""
        rows, queries = plan.row_index[:, None].expand_as(plan.query_positions), plan.query_positions
        shift = model.architecture.shift
        states = hidden.states.flatten(0, 1)  # [rows * query, model width]
        at_once = max(1, CHUNK // model.vocabulary)
        seen = torch.cat([self._top(model.logits(part)) for part in torch.split(states, at_once)]).view(queries.shape)
        inside = (queries >= 0) & (queries + shift < plan.lengths[:, None])
        target = torch.where(inside, queries + shift, -1)  # -1: the spare column
        plan.memory.observe(rows, target, seen)
        if shift and plan.lanes[0].row.request.as_released:
            first = torch.where(queries == 0, 0, -1)  # the released shift leaves row 0 its own prediction
            plan.memory.observe(rows, first, seen)

    def _top(self, logits: torch.Tensor) -> torch.Tensor:
        scores = self.sampler.scores(self._cast(logits))
        normaliser = scores.logsumexp(dim=-1)
        allowed = scores.clone()
        allowed[:, self.mask_id] = float("-inf")
        return (allowed.max(dim=-1).values - normaliser).exp()

    def _measure(self, model: DiffusionModel, states: torch.Tensor, draws: Draws) -> dict[str, torch.Tensor]:
        """Measure each row of `states` [n, model width]; every value is [n] (the distribution [n, vocabulary])."""
        rows_at_once = max(1, CHUNK // model.vocabulary)
        parts = []
        for start, piece in _pieces(draws, rows_at_once):
            n = sum(count for _, count in piece)
            parts.append(self._measure_logits(model.logits(states[start : start + n]), piece))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _measure_logits(self, logits: torch.Tensor, draws: Draws) -> dict[str, torch.Tensor]:
        scores = self.sampler.scores(self._cast(logits))  # [n, vocabulary]
        normaliser = scores.logsumexp(dim=-1, keepdim=True)  # [n, 1]
        allowed = scores.clone()
        allowed[:, self.mask_id] = float("-inf")
        tokens = self.sampler.draw(allowed, draws)
        columns = {"tokens": tokens, "confidence": (scores.gather(1, tokens[:, None]) - normaliser).exp().squeeze(1)}
        if self.signals.margin:
            best = (allowed.topk(2, dim=-1).values - normaliser).exp()
            columns["margin"] = best[:, 0] - best[:, 1]
        if self.signals.entropy or self.signals.distribution or self.signals.change:
            p = (scores - normaliser).exp()
            columns["entropy"] = normaliser.squeeze(1) - (p * scores).sum(dim=-1)
            if self.signals.distribution or self.signals.change:
                columns["distribution"] = p
        return columns

    def _cast(self, logits: torch.Tensor) -> torch.Tensor:
        if self.confidence_dtype == "logits":
            return logits
        if self.confidence_dtype == "float64" or (logits.dtype == torch.float64 and self.confidence_dtype == "auto"):
            return logits.double()
        return logits.float()

    @staticmethod
    def _spread(column: torch.Tensor, plan: ForwardPlan, padding: float) -> torch.Tensor:
        """Lay [n, ...] out as [rows, width, ...], with `padding` where a row has no proposed position."""
        rows, width = plan.proposed.shape
        if len(column) == rows * width:
            return column.view(rows, width, *column.shape[1:])
        spread = column.new_full((rows * width, *column.shape[1:]), padding)
        spread[plan.scatter] = column
        return spread.view(rows, width, *column.shape[1:])


def _pieces(draws: Draws, rows_at_once: int) -> list[tuple[int, list[tuple[torch.Generator, int]]]]:
    """Cut the rows of all sequences into chunks of at most `rows_at_once`: where each starts, and who draws in it.

    A sequence is cut at multiples of `rows_at_once` from its own start, so what it draws does not depend on the batch.
    """
    runs = [(g, min(rows_at_once, n - cut)) for g, n in draws for cut in range(0, n, rows_at_once)]
    pieces: list[tuple[int, list[tuple[torch.Generator, int]]]] = []
    position = room = 0
    for generator, count in runs:
        if count > room:
            pieces.append((position, []))
            room = rows_at_once
        pieces[-1][1].append((generator, count))
        room, position = room - count, position + count
    return pieces
