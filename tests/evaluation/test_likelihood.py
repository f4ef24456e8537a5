"""The Monte Carlo bound, against a network written out plainly and against all maskings there are."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from plain import Plain

from dllmkit.evaluation.likelihood import Likelihood
from dllmkit.testing.toy import toy_model

PREFIX, TARGET = [3, 7, 1, 12], [5, 2, 9, 14, 8]
MASK = 23


def terms(model, masked: np.ndarray, shift: int) -> float:
    """What one masking adds: the log-probabilities of the masked tokens, over the share that is masked."""
    noisy = [MASK if hidden else token for token, hidden in zip(TARGET, masked, strict=True)]
    everything = range(len(PREFIX) + len(TARGET))
    logits, _ = Plain(model).forward([*PREFIX, *noisy], list(everything), list(everything), [])
    logs = logits.log_softmax(dim=-1)
    at = [i for i in range(len(TARGET)) if masked[i]]
    return sum(float(logs[len(PREFIX) + i - shift, TARGET[i]]) for i in at) * len(TARGET) / len(at)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_masking_is_weighed_as_the_paper_says(shift: int, batch: int) -> None:
    model = toy_model(shift=shift)
    likelihood = Likelihood(model, samples=9, seed=2, batch_size=batch)
    maskings = list(likelihood._maskings(PREFIX, TARGET))
    expected = np.mean([terms(model, masked, shift) for masked in maskings])
    assert likelihood.bound(PREFIX, TARGET) == pytest.approx(expected, abs=1e-4)


def test_the_estimate_is_that_of_the_mean_over_all_maskings() -> None:
    model = toy_model()
    exact = 0.0
    for count in range(1, 6):
        chosen = [np.isin(np.arange(5), positions) for positions in itertools.combinations(range(5), count)]
        exact += np.mean([terms(model, masked, 0) for masked in chosen]) / 5
    estimates = [Likelihood(model, samples=200, seed=seed, batch_size=50).bound(PREFIX, TARGET) for seed in range(12)]
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < 4 * error < 2.0


def test_maskings_are_drawn_evenly() -> None:
    """Every number of masked tokens, and every set of that number, is as likely as another."""
    counts: Counter[int] = Counter()
    sets: Counter[tuple[int, ...]] = Counter()
    model = toy_model()
    for seed in range(400):
        for masked in Likelihood(model, samples=6, seed=seed)._maskings([1], [2, 3, 4]):
            counts[int(masked.sum())] += 1
            sets[tuple(np.flatnonzero(masked).tolist())] += 1
    assert counts == {1: 800, 2: 800, 3: 800}  # spread evenly within each estimate
    assert all(200 < sets[one] < 340 for one in sets if len(one) < 3)
    assert len(sets) == 7


def test_one_token_is_exact() -> None:
    model = toy_model()
    assert Likelihood(model, samples=64).bound(PREFIX, [5]) == Likelihood(model, samples=1, seed=9).bound(PREFIX, [5])
    logits, _ = Plain(model).forward([*PREFIX, MASK], range(5), range(5), [])
    assert Likelihood(model).bound(PREFIX, [5]) == pytest.approx(float(logits[4].log_softmax(-1)[5]), abs=1e-4)
    assert Likelihood(model).bound(PREFIX, []) == 0.0


def test_estimates_repeat_and_depend_on_the_request_alone() -> None:
    model = toy_model()
    assert Likelihood(model, 8, 1, 8).bound(PREFIX, TARGET) == pytest.approx(
        Likelihood(model, 8, 1, 3).bound(PREFIX, TARGET)
    )
    assert Likelihood(model, 8, 1).bound(PREFIX, TARGET) != Likelihood(model, 8, 2).bound(PREFIX, TARGET)


@pytest.mark.parametrize("shift", [0, 1])
def test_greedy_is_what_decoding_one_token_at_a_time_gives(shift: int) -> None:
    from dllmkit.testing.toy import toy_decode, toy_policy
    from dllmkit_baseline.fixed_blocks import FixedBlocks
    from dllmkit_baseline.quota import Quota

    model = toy_model(shift=shift)
    policy = toy_policy(block_scheduler=FixedBlocks(6), unmask_selector=Quota(6))
    (row,), _ = toy_decode(model, [PREFIX], policy, gen_length=6)
    answer = row.canvas[len(PREFIX) :].tolist()
    likelihood = Likelihood(model)
    assert likelihood.is_greedy(PREFIX, answer)
    for at in range(6):
        other = [*answer[:at], (answer[at] + 1) % 22, *answer[at + 1 :]]
        assert not likelihood.is_greedy(PREFIX, other)


def test_in_bfloat16_the_softmax_is_in_float32() -> None:
    model = toy_model(dtype=torch.bfloat16)
    wide = toy_model(dtype=torch.float32)
    narrow = Likelihood(model, samples=4).bound(PREFIX, TARGET)
    assert narrow == pytest.approx(Likelihood(wide, samples=4).bound(PREFIX, TARGET), rel=0.05)
    assert narrow != float(torch.tensor(narrow).bfloat16())
