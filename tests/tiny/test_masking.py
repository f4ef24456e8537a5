"""Masks of training rows: prompts stay, windows are where they should be, weights belong to masked positions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dllmkit.tiny.batches import make_batches
from dllmkit.tiny.masking import WINDOW, Weights, mask_row
from dllmkit.tiny.tokenizer import build_tokenizer


@given(
    st.sampled_from(["uniform", "window", "ordered", "cut"]),
    st.integers(1, 60),
    st.integers(1, 150),
    st.integers(1, 300),
    st.integers(0, 2**31),
)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_masks_obey(way: str, prompt: int, answer: int, room: int, seed: int) -> None:
    length = prompt + room if way == "cut" else prompt + answer + room
    rng = np.random.default_rng(seed)
    facts = (np.arange(length) < prompt + answer) & (rng.random(length) < 0.3)
    mask, weight = mask_row(way, prompt, answer, facts, rng, Weights())
    assert mask.shape == weight.shape == (length,)
    assert mask.any()
    assert not mask[:prompt].any()
    assert (weight[mask] > 0).all()
    assert (weight[~mask] == 0).all()
    if way == "cut":
        assert not mask[: max(prompt, length - WINDOW)].any()
    if way in ("window", "ordered"):  # after the window everything is masked
        first = int(mask.argmax())
        assert mask[first + WINDOW :].all()


def test_uniform_masks_every_ratio() -> None:
    rng = np.random.default_rng(0)
    ratios = [
        mask_row("uniform", 20, 40, np.zeros(120, dtype=bool), rng, Weights())[0].sum() / 100 for _ in range(2000)
    ]
    counts, _ = np.histogram(ratios, bins=5, range=(0, 1))
    assert counts.min() > 300


def test_batches_are_deterministic_and_hide_only_the_canvas() -> None:
    tokenizer = build_tokenizer()
    first, second = make_batches(tokenizer, 5, 2048), make_batches(tokenizer, 5, 2048)
    for _ in range(10):
        a, b = next(first), next(second)
        assert a.tokens.equal(b.tokens)
        assert a.rows.equal(b.rows)
        assert a.weights.equal(b.weights)
        heavy = a.rows[a.weights > 0]
        assert (a.tokens.flatten()[heavy] == tokenizer.mask_token_id).all()
        assert (a.targets[a.weights > 0] != tokenizer.mask_token_id).all()
        assert len(a.kinds) == a.tokens.shape[0]
