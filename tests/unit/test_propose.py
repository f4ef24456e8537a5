"""Tokens, confidences and signals against a plain computation over the whole canvas, full and cached."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from policies import RandomQuery, Window

import dllmkit.propose
from dllmkit.execution.eager import Eager
from dllmkit.inputs import prepare
from dllmkit.loop import Batch
from dllmkit.plan import pack
from dllmkit.propose import Proposer
from dllmkit.sampling import Gumbel
from dllmkit.signals import Attention, Signals
from dllmkit.state import Request
from dllmkit.testing.toy import toy_model, toy_policy

ALL = Signals(margin=True, entropy=True, distribution=True, attention=Attention((0, -1)))


def plain(model, row):
    """Logits [length, vocabulary] and attention [layers, length, length] over the visible, by transformers' eager code."""
    network = model.network
    kept = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        n = len(row.visible)
        out = network(
            torch.tensor(row.canvas[row.visible])[None],
            attention_mask=torch.zeros(1, 1, n, n, dtype=model.dtype),
            position_ids=torch.tensor(row.visible)[None],
            output_attentions=True,
            use_cache=False,
        )
    finally:
        network.set_attn_implementation(kept)
    logits = torch.full((row.length, model.vocabulary), float("nan"), dtype=model.dtype)
    logits[row.visible] = out.logits[0]
    attention = torch.zeros(len(out.attentions), row.length, row.length, dtype=model.dtype)
    index = torch.tensor(row.visible)
    attention[:, index[:, None], index] = torch.stack([a[0].mean(0) for a in out.attentions])
    return logits, attention


@dataclass
class Step:
    batch: Batch
    model: object
    noise: object

    def plans(self):
        for lane in self.batch.lanes:
            row = lane.row
            row.block, row.refresh = lane.schedule(row), lane.cache.refresh_due(row)
            row.visible = lane.context(row)
            row.query = lane.cache.query(row)
            lane.settle(self.batch.kv)
        return [
            (plan, prepare(plan, self.batch.kv, self.batch.memory, self.noise(self.model, plan)).typed())
            for plan in pack(self.batch.lanes, self.batch.kv)
        ]


def start(model, policy, lengths=((4, 12), (7, 9), (2, 16)), sampler=None):
    special = model.architecture.special
    random = np.random.default_rng(0)
    requests = [
        Request(i, tuple(random.integers(0, 22, p).tolist()), g, special.mask_id, shift=model.architecture.shift)
        for i, (p, g) in enumerate(lengths)
    ]
    batch = Batch.of(model, requests, policy, len(requests), Eager())
    batch.fill()
    return Step(batch, model, Proposer(sampler or Gumbel(), Signals(), 23).noise)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("of", ["eligible", "query"])
@pytest.mark.parametrize("pruned", [False, True])
def test_signals_equal_a_plain_full_computation(shift, cached, of, pruned):
    """In cached forwards the canvas is unchanged since the refresh, so what is read equals what would be recomputed."""
    model = toy_model(4, shift=shift, layers=3)
    given = {"cache_policy": RandomQuery(1, 0.4)} if cached else {}
    step = start(model, toy_policy(**given, **({"context_window": Window(3)} if pruned else {})))
    signals = replace(ALL, attention=Attention((0, -1), of))
    proposer = Proposer(Gumbel(), signals, model.architecture.special.mask_id)
    plans = step.plans()
    if cached:
        for _, inputs in plans:
            model.forward(inputs, Signals())
        for lane in step.batch.lanes:
            lane.row.nfe += 1
        plans = step.plans()
        assert all(len(lane.row.query) < len(lane.row.visible) for plan, _ in plans for lane in plan.lanes)
    seen = 0
    for plan, inputs in plans:
        proposal = proposer.propose(model, model.forward(inputs, signals), inputs)
        for i, lane in enumerate(plan.lanes):
            row, n = lane.row, len(lane.row.eligible)
            seen += 1
            logits, attention = plain(model, row)
            logits = logits[row.eligible - shift]
            p = logits.softmax(-1)
            legal = logits.clone()
            legal[:, model.architecture.special.mask_id] = float("-inf")
            token = legal.argmax(-1)
            best = p[:, : model.architecture.special.mask_id].topk(2, dim=-1).values
            assert proposal.positions[i, :n].tolist() == row.eligible.tolist()
            assert proposal.tokens[i, :n].tolist() == token.tolist()
            assert torch.allclose(proposal.confidence[i, :n], p.gather(1, token[:, None])[:, 0], atol=1e-5)
            assert torch.allclose(proposal.margin[i, :n], best[:, 0] - best[:, 1], atol=1e-5)
            assert torch.allclose(proposal.entropy[i, :n], -(p * p.log()).sum(-1), atol=1e-4)
            assert torch.allclose(proposal.distribution[i, :n], p, atol=1e-5)
            keys = proposal.keys.positions[i]
            for q, position in enumerate(proposal.attention_queries[i].tolist()):
                got = torch.zeros(row.length, dtype=model.dtype)
                got[keys[keys >= 0]] = proposal.attention[i, q][keys >= 0]
                want = (
                    attention[[0, -1], position].mean(0)
                    if position >= 0
                    else torch.zeros(row.length, dtype=model.dtype)
                )
                assert torch.allclose(got, want, atol=1e-5)
            asked = row.eligible if of == "eligible" else row.query
            assert {p for p in proposal.attention_queries[i].tolist() if p >= 0} == set(asked.tolist())
            assert not proposal.eligible[i, n:].any()
            assert (proposal.confidence[i, n:] == float("-inf")).all()
    assert seen == 3


def test_nothing_is_computed_that_was_not_asked_for():
    model = toy_model(4)
    ((_, inputs), *_) = start(model, toy_policy()).plans()
    hidden = model.forward(inputs, Signals())
    proposal = Proposer(Gumbel(), Signals(), 23).propose(model, hidden, inputs)
    assert hidden.attention is None
    asked = ("margin", "entropy", "distribution", "attention", "attention_mean", "observed", "keys")
    assert all(getattr(proposal, name) is None for name in asked)


def test_chunks_do_not_change_the_result(monkeypatch):
    model = toy_model(4)
    signals = replace(ALL, attention=None)

    def propose():
        ((_, inputs), *_) = start(model, toy_policy(), sampler=Gumbel(0.5)).plans()
        return Proposer(Gumbel(0.5), signals, 23).propose(model, model.forward(inputs, signals), inputs)

    whole = propose()
    monkeypatch.setattr(dllmkit.propose, "CHUNK", 3 * 24)
    cut = propose()
    for name in ("tokens", "confidence", "margin", "entropy", "distribution"):
        assert torch.allclose(getattr(whole, name).double(), getattr(cut, name).double(), rtol=1e-12), name


@pytest.mark.parametrize(
    ("model_dtype", "asked", "want"),
    [
        (torch.float64, "auto", torch.float64),
        (torch.float32, "auto", torch.float32),
        (torch.bfloat16, "auto", torch.float32),
        (torch.bfloat16, "logits", torch.bfloat16),
        (torch.float32, "float64", torch.float64),
        (torch.float64, "float32", torch.float32),
    ],
)
def test_confidence_dtype(model_dtype, asked, want):
    model = toy_model(4, dtype=model_dtype)
    ((_, inputs), *_) = start(model, toy_policy()).plans()
    proposal = Proposer(Gumbel(), Signals(), 23, asked).propose(model, model.forward(inputs, Signals()), inputs)
    assert proposal.confidence.dtype == proposal.inputs.dtype == want
    assert 0 <= proposal.confidence[proposal.eligible].min() <= proposal.confidence.max() <= 1.01


def test_attention_of_a_layer_that_the_model_lacks():
    model = toy_model(4, layers=2)
    assert model.layer_indices(Signals(attention=Attention((-1, 0)))) == {0, 1}
    for layers in [(2,), (-3,), ()]:
        with pytest.raises(ValueError, match="the model has 2 layers"):
            model.layer_indices(Signals(attention=Attention(layers)))
