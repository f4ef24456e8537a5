"""No step waits for the device, depends on its data or crosses devices: every allowed combination, selectors included."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from audit import Audited, audit, on_meta
from methods import COMBINATIONS, policy_of, section

from dllmkit.sampling import Categorical, Gumbel
from dllmkit.sizing import BUCKETS, DYNAMIC, EAGER
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_dawn.dawn import Dawn
from dllmkit_fast_dllm.dual_cache import DualCache

PROMPTS = [[4, 9], [7, 1, 5, 18, 2, 2, 8, 11, 3], [1, 2, 3, 4, 6]]
model_of = cache(lambda shift: toy_model(5, shift=shift, layers=1, width=16, heads=2, kv_heads=1, dtype=torch.float32))

PLACES = [
    pytest.param(place, cells, id=" ".join(map(str, place)))
    for place, cells in COMBINATIONS.cells()
    if any(one.runs for combined in cells.values() for one in combined)
]


@pytest.mark.parametrize(("place", "cells"), PLACES)
def test_each_allowed_combination_is_fit_for_a_graph(place, cells):
    for combined in cells.values():
        policy = next((policy_of(section(one)) for one in combined if one.runs), None)
        if policy is None:
            continue
        execution = Audited(BUCKETS)
        toy_decode(model_of(0), PROMPTS, policy, gen_length=7, batch_size=3, execution=execution)
        assert execution.kinds
        assert execution.found == []


@pytest.mark.parametrize("sizing", [EAGER, DYNAMIC, BUCKETS])
@pytest.mark.parametrize("sampler", [Gumbel(0.7), Categorical(0.9, top_p=0.9, top_k=5, mask_id=23)])
@pytest.mark.parametrize("shift", [0, 1])
def test_samplers_and_shifted_models_are_fit_too(sizing, sampler, shift):
    policy = toy_policy(cache_policy=DualCache(), unmask_selector=Dawn(layers=1))
    execution = Audited(sizing)
    toy_decode(
        model_of(shift),
        PROMPTS,
        policy,
        gen_length=9,
        batch_size=3,
        sampler=sampler,
        execution=execution,
        as_released=True,
    )
    assert execution.found == []


FAULTS = {
    "item": lambda x: x * float(x.sum()),
    "bool": lambda x: x if (x > 0).any() else -x,
    "mask": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0)[0],
    "cpu": lambda x: x.cpu() + 1,
    "upload": lambda x: x + torch.tensor([1.0, 2.0]).to(x.device),
    "index": lambda x: x[torch.tensor([0, 1])],
    "numpy": lambda x: x.tolist(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_audit_finds(fault):
    x, caught = on_meta(torch.rand(2)), ""
    with audit() as found:
        try:
            FAULTS[fault](x)
        except Exception as error:  # fake tensors refuse with several types of their own
            caught = f"{type(error).__name__}: {error}"
    assert found or any(word in caught for word in ("DataDependent", "DynamicOutputShape", "meta", "Cannot copy"))


def test_the_audit_passes_what_is_fit():
    x = on_meta(torch.rand(3, 4))
    with audit() as found:
        (x.softmax(-1) @ x.T).masked_fill(x[:, :3] > 0, 0.0).argsort(dim=1)
    assert found == []
