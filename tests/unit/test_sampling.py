"""Samplers against transcriptions of what the families' papers and code describe."""

from __future__ import annotations

import pytest
import torch

from dllmkit.sampling import Categorical, Gumbel, first_best


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gumbel_draws_as_the_exponential_form():
    scores = torch.randn(50, 11, generator=generator(1), dtype=torch.float64)
    noise = torch.rand(50, 11, generator=generator(2), dtype=torch.float64)
    want = (scores.exp() / (-noise.log()) ** 0.7).argmax(-1)
    assert torch.equal(Gumbel(0.7).draw(scores, Gumbel(0.7).noise(50, 11, generator(2), torch.float32)), want)


def test_gumbel_frequencies_are_softmax_at_temperature_1():
    scores = torch.tensor([0.0, 1.0, 2.0, float("-inf")]).expand(20_000, 4)
    drawn = Gumbel(1.0).draw(scores, Gumbel(1.0).noise(20_000, 4, generator(), torch.float32))
    counts = torch.bincount(drawn, minlength=4) / 20_000
    assert torch.allclose(counts, torch.tensor([0.0900, 0.2447, 0.6652, 0.0]), atol=0.01)


@pytest.mark.parametrize("sampler", [Gumbel(0.0), Categorical(0.0)])
def test_temperature_0_takes_the_first_best(sampler):
    scores = torch.tensor([[0.0, 3.0, 3.0], [5.0, 1.0, 2.0]])
    assert sampler.noise(2, 3, generator(), torch.float32) is None
    assert sampler.draw(scores, None).tolist() == [1, 0]


def reference_filter(logits, top_p, top_k):
    """Per row: the smallest set of tokens, most probable first, whose mass exceeds top_p; then the top_k."""
    kept = []
    for row in logits:
        p = row.softmax(-1)
        order = sorted(range(len(row)), key=lambda v: (-row[v].item(), v))
        chosen, mass = [], 0.0
        for v in order:
            if top_p is not None and chosen and mass > top_p:
                break
            chosen.append(v)
            mass += p[v].item()
        kept.append(set(chosen[: top_k or len(chosen)]))
    return kept


@pytest.mark.parametrize(("top_p", "top_k"), [(0.5, None), (0.9, None), (None, 3), (0.8, 2), (1.0, 50), (1e-6, None)])
def test_filters(top_p, top_k):
    logits = torch.randn(40, 9, generator=generator(3), dtype=torch.float64)
    scores = Categorical(0.0, top_p, top_k).scores(logits)
    for row, kept, original in zip(scores, reference_filter(logits, top_p, top_k), logits, strict=True):
        assert {v for v in range(9) if row[v] > torch.finfo(torch.float64).min} == kept
        assert all(row[v] == original[v] for v in kept)
    sampler = Categorical(1.0, top_p, top_k)
    drawn = sampler.draw(scores, sampler.noise(40, 9, generator(), torch.float64))
    assert all(int(v) in kept for v, kept in zip(drawn, reference_filter(logits, top_p, top_k), strict=True))


def test_the_temperature_sharpens_confidences_of_categorical_only():
    logits = torch.tensor([[0.0, 2.0]])
    assert torch.equal(Categorical(0.5).scores(logits), logits / 0.5)
    assert torch.equal(Gumbel(0.5).scores(logits), logits)


def test_a_filter_never_keeps_the_mask_token_alone():
    logits = torch.tensor([[0.0, 1.0, 9.0]])
    scores = Categorical(0.0, top_k=1, mask_id=2).scores(logits)
    assert scores.argmax(-1).tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_categorical_draws_what_multinomial_draws(dtype):
    scores = torch.randn(60, 500, generator=generator(5), dtype=dtype)
    drawn = Categorical(1.0).draw(scores, Categorical(1.0).noise(60, 500, generator(6), dtype))
    assert torch.equal(drawn, scores.softmax(-1).multinomial(1, generator=generator(6)).squeeze(1))


@pytest.mark.parametrize("vocabulary", [11, 126464, 152064, 20_000, 16_411])
def test_first_best_is_argmax(vocabulary):
    scores = torch.randint(0, 50, (40, vocabulary), generator=generator(7)).float()  # many equal ones
    scores[0] = float("-inf")
    assert torch.equal(first_best(scores), scores.argmax(-1))
