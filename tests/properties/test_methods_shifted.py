"""A model whose rows are shifted by one decodes as the model it was made from (spec P17).

To commit position i the engine recomputes row i - 1 of a shifted model. Without a cache that row is in the query anyway, and
decodes are equal. With a cache the query of the shifted model is wider, and its keys fresher: the plain model decodes
the same with a cache that recomputes the same rows. Confidences that DAWN observes at committed positions come from other
rows (position i from row i - 1), so at the edge of the query one model sees what the other does not: with a cache, DAWN is
compared with its anchors off.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from decoding import outcomes, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import WithSources, cached_policies, decays, fixed, selectors, sliding, windows

from dllmkit.inputs import StepInputs
from dllmkit.models.model import DiffusionModel, Hidden
from dllmkit.signals import Signals
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.full import Full
from dllmkit_dawn.dawn import Dawn

model_of = cache(lambda: toy_model(47, width=16, heads=4, kv_heads=2))
few = settings(max_examples=80)


class Wrapped:
    """A model with another forward."""

    def __init__(self, model: DiffusionModel) -> None:
        self.model = model

    def __getattr__(self, name: str):
        return getattr(self.model, name)


class Blank(Wrapped):
    """Row 0 predicts nothing: in a shifted model no row speaks for position 0."""

    def forward(self, inputs: StepInputs, signals: Signals) -> Hidden:
        hidden = self.model.forward(inputs, signals)
        return replace(hidden, states=hidden.states * (inputs.query_positions != 0)[:, :, None])


class Shifted(Wrapped):
    """Row i - 1 says what row i of the model says, if row i is computed; else nothing."""

    @property
    def architecture(self):
        return replace(self.model.architecture, shift=1)

    def forward(self, inputs: StepInputs, signals: Signals) -> Hidden:
        hidden = self.model.forward(inputs, signals)
        at = inputs.query_positions
        follows = torch.zeros_like(at, dtype=torch.bool)
        follows[:, :-1] = (at[:, 1:] == at[:, :-1] + 1) & (at[:, :-1] >= 0)
        return replace(hidden, states=hidden.states.roll(-1, dims=1) * follows[:, :, None])


def same(asked, one, other, gen_length, batch_size, released=False):
    model = Blank(model_of())
    plain, _ = toy_decode(model, asked, toy_policy(**one), gen_length=gen_length, as_released=released)
    shifted, _ = toy_decode(
        Shifted(model), asked, toy_policy(**other), gen_length=gen_length, batch_size=batch_size, as_released=released
    )
    assert outcomes(plain) == outcomes(shifted)


@few
@given(
    prompts(most=2), st.one_of(fixed, sliding()), st.one_of(selectors, decays), st.none() | windows, st.integers(1, 16),
    st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_without_a_cache(asked, scheduler, selector, window, gen_length, batch_size, released):
    policy = {"block_scheduler": scheduler, "unmask_selector": selector, "context_window": window or Full()}
    released = released and not isinstance(selector, Dawn)  # its overrun reads row 0
    same(asked, policy, policy, gen_length, batch_size, released)


@few
@given(prompts(most=2), cached_policies(), st.integers(1, 16), st.integers(1, 2))
def test_with_a_cache(asked, components, gen_length, batch_size):
    selector = components["unmask_selector"]
    if isinstance(selector, Dawn):
        selector = replace(selector, tau_high=1.0)  # no confidence reaches it
    shifted = {**components, "unmask_selector": selector}
    plain = {**shifted, "cache_policy": WithSources(components["cache_policy"])}
    same(asked, plain, shifted, gen_length, batch_size)
