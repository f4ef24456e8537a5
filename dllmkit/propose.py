"""From a forward to a proposal: a token and its confidence at every eligible position, and the signals asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from dllmkit.inputs import StepInputs
from dllmkit.models.model import DiffusionModel, Hidden
from dllmkit.proposal import KeyColumns, Proposal
from dllmkit.sampling import Sampler, first_best
from dllmkit.signals import Signals

if TYPE_CHECKING:
    from dllmkit.plan import ForwardPlan

ConfidenceDtype = Literal["auto", "float32", "float64", "logits"]
CACHED = 1 << 19  # logits that lie in a processor's cache together
CHUNK = 1 << 24  # logits held at once, unless a selector asked for the whole distribution
HEAP = (
    1 << 22
)  # on a CPU: more come as fresh pages from the system, at each step, and these cost as much as the product


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

    def propose(self, model: DiffusionModel, hidden: Hidden, inputs: StepInputs) -> Proposal:
        """Run the language-model head on the rows that predict eligible positions, and measure them."""
        states = hidden.states.flatten(0, 1)  # [rows * query, model width]
        attention, signals, memory = hidden.attention, self.signals, inputs.memory
        columns = self._observed(model, states, inputs) if signals.observed else None
        if columns is None or not self._plain(inputs):
            columns = self._measure(model, states.index_select(0, inputs.sources), inputs.noise)
        confidence = _spread(columns["confidence"], inputs, float("-inf"))
        asked = signals.distribution or signals.change > 0
        distribution = _spread(columns["distribution"], inputs, 0.0) if asked else None
        return Proposal(
            positions=inputs.proposed,
            eligible=inputs.eligible,
            tokens=_spread(columns["tokens"], inputs, 0),
            confidence=confidence,
            inputs=inputs.inputs.to(confidence.dtype),  # a threshold is rounded like what it is compared with
            margin=_spread(columns["margin"], inputs, float("-inf")) if signals.margin else None,
            entropy=_spread(columns["entropy"], inputs, float("inf")) if signals.entropy else None,
            distribution=distribution if signals.distribution else None,
            change=memory.change.update(inputs.rows, inputs.proposed, distribution)
            if memory.change is not None and distribution is not None
            else None,
            attention=attention.rows if attention else None,
            attention_queries=attention.queries if attention else None,
            attention_mean=attention.mean if attention else None,
            observed=memory.observed(inputs.rows, inputs.key_positions) if signals.observed else None,
            keys=KeyColumns(inputs.key_positions, inputs.key_committed, inputs.own_key)
            if attention or signals.observed
            else None,
        )

    def noise(self, model: DiffusionModel, plan: ForwardPlan) -> torch.Tensor | None:
        """Draw a forward's random numbers, [n, vocabulary], each row's from its own generator; None if none are needed."""
        dtype = self.dtype(model.dtype)
        drawn = [
            self.sampler.noise(len(lane.row.proposed), model.vocabulary, lane.generator, dtype) for lane in plan.lanes
        ]
        parts = [part for part in drawn if part is not None]
        if not parts:
            return None
        missing = len(plan.tables["sources"]) - sum(map(len, parts))
        padding = [parts[0].new_ones(missing, model.vocabulary)] if missing else []
        return torch.cat([*parts, *padding])

    def dtype(self, model_dtype: torch.dtype) -> torch.dtype:
        """Return what confidences are computed in, given the dtype of the logits."""
        if self.confidence_dtype == "logits":
            return model_dtype
        wide = self.confidence_dtype == "float64" or (model_dtype == torch.float64 and self.confidence_dtype == "auto")
        return torch.float64 if wide else torch.float32

    def _plain(self, inputs: StepInputs) -> bool:
        """Whether the most probable token and its probability are all that is asked for."""
        s = self.signals
        return inputs.noise is None and not (s.margin or s.entropy or s.distribution or s.change)

    def _observed(self, model: DiffusionModel, states: torch.Tensor, inputs: StepInputs) -> dict[str, torch.Tensor]:
        """Note the top-1 probability at every committed and eligible position that this forward has the row of.

        A position is committed only after it was eligible, so that none is missed. Return what the eligible ones give.
        """
        assert inputs.seen is not None
        assert inputs.seen_row is not None
        assert inputs.seen_position is not None
        n, width = len(inputs.sources), inputs.proposed.shape[1]
        tokens, best = self._best(model, states.index_select(0, torch.cat([inputs.sources, inputs.seen])))
        cells = torch.nn.functional.pad(inputs.proposed.flatten(), (0, 1), value=-1)  # -1: the spare column
        owners = (inputs.scatter // width).clamp(max=len(inputs.rows) - 1)
        rows = inputs.rows[torch.cat([owners, inputs.seen_row])]
        inputs.memory.observe(rows, torch.cat([cells[inputs.scatter], inputs.seen_position]), best)
        return {"tokens": tokens[:n], "confidence": best[:n]}

    def _best(self, model: DiffusionModel, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the most probable token of each row of `states` [n, model width], and its probability: both [n]."""
        tokens, confidence = [], []
        for part in _chunks(states, model.vocabulary):
            scores, normaliser = self._scores(model, part)
            tokens.append(first_best(scores))
            confidence.append(_probability(scores, tokens[-1], normaliser))
        return torch.cat(tokens), torch.cat(confidence)

    def _measure(
        self, model: DiffusionModel, states: torch.Tensor, noise: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Measure each row of `states` [n, model width]; every value is [n] (the distribution [n, vocabulary])."""
        pieces = _chunks(states, model.vocabulary)
        noises = [None] * len(pieces) if noise is None else _chunks(noise, model.vocabulary)
        parts = [self._columns(model, piece, drawn) for piece, drawn in zip(pieces, noises, strict=True)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if len(parts) > 1 else parts[0]

    def _columns(
        self, model: DiffusionModel, states: torch.Tensor, noise: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        columns, signals = {}, self.signals
        asked = signals.distribution or signals.change > 0
        if signals.entropy or asked:  # before the mask token is ruled out
            logits = model.logits(states)
            full = self.sampler.scores(logits.to(self.dtype(logits.dtype)))  # [n, vocabulary]
            normaliser = _normaliser(full, full.dtype)
            p = (full - normaliser).exp()
            columns["entropy"] = normaliser.squeeze(1) - (p * full).sum(dim=-1)
            if asked:
                columns["distribution"] = p
            scores = self._without_mask(full)
        else:
            scores, normaliser = self._scores(model, states)
        tokens = columns["tokens"] = self.sampler.draw(scores, noise)
        columns["confidence"] = _probability(scores, tokens, normaliser)
        if signals.margin:
            best = (scores.topk(2, dim=-1).values.to(normaliser.dtype) - normaliser).exp()
            columns["margin"] = best[:, 0] - best[:, 1]
        return columns

    def _scores(self, model: DiffusionModel, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores [n, vocabulary] in which the mask token is -inf, and the normaliser [n, 1] in which it counts.

        The scores keep the dtype of the logits where that changes nothing: only the normaliser needs a wider one.
        """
        logits = model.logits(states)
        dtype = self.dtype(logits.dtype)
        scores = self.sampler.scores(logits if self.sampler.plain else logits.to(dtype))
        normaliser = _normaliser(scores, dtype)
        return self._without_mask(scores), normaliser

    def _without_mask(self, scores: torch.Tensor) -> torch.Tensor:
        scores[:, self.mask_id] = float("-inf")  # in place: [n, vocabulary] is the largest tensor of a step
        return scores


def _normaliser(scores: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return log sum exp of [n, vocabulary] in `dtype`, as [n, 1]."""
    top = scores.amax(dim=-1, keepdim=True).to(dtype)  # [n, 1]
    rows = max(1, CACHED // scores.shape[1])
    # in one pass where a compiler fuses it, else in passes over what the processor's cache holds
    whole = torch.compiler.is_compiling() or scores.device.type != "cpu" or len(scores) <= rows
    pieces, tops = ((scores,), (top,)) if whole else (torch.split(scores, rows), torch.split(top, rows))
    sums = [(p.to(dtype) - t).exp_().sum(-1, keepdim=True) for p, t in zip(pieces, tops, strict=True)]
    return torch.cat(sums).log_().add_(top)


def _probability(scores: torch.Tensor, tokens: torch.Tensor, normaliser: torch.Tensor) -> torch.Tensor:
    """Return the probability of each row's token, [n]."""
    return (scores.gather(1, tokens[:, None]).to(normaliser.dtype) - normaliser).exp().squeeze(1)


def _chunks(rows: torch.Tensor, vocabulary: int) -> tuple[torch.Tensor, ...]:
    """Split [n, ...] so that each part has few logits; their number doubles, for a compiled step to hold on to."""
    n, count = rows.shape[0], 1
    most = min(CHUNK, HEAP) if rows.device.type == "cpu" and not torch.compiler.is_compiling() else CHUNK
    while n * vocabulary > most * count and count < n:
        count *= 2
    return torch.tensor_split(rows, count) if count > 1 else (rows,)


def _spread(column: torch.Tensor, inputs: StepInputs, padding: float) -> torch.Tensor:
    """Lay [n, ...] out as [rows, width, ...], with `padding` where a row has no proposed position."""
    rows, width = inputs.proposed.shape
    if inputs.dense:
        return column.view(rows, width, *column.shape[1:])
    spread = column.new_full((rows * width + 1, *column.shape[1:]), padding)
    spread[inputs.scatter] = column
    return spread[:-1].view(rows, width, *column.shape[1:])
