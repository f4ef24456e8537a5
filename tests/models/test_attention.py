"""The two ways to compute attention agree: torch's fused kernel, and two matrix products with a softmax between."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from decoding import outcomes
from policies import Window

from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_fast_dllm.dual_cache import DualCache


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [None, 3])
def test_plain_attention_decodes_the_same(kv_heads, window):
    model = toy_model(3, heads=4, kv_heads=kv_heads, dtype=torch.float64)
    given = {"context_window": Window(window)} if window is not None else {}
    policy = toy_policy(cache_policy=DualCache(), **given)
    prompts = [[1, 2, 3], [7, 8, 9, 10, 11, 2]]  # ragged: some key slots are empty
    fused, _ = toy_decode(model, prompts, policy, batch_size=2)
    plain, _ = toy_decode(replace(model, plain_attention=True), prompts, policy, batch_size=2)
    assert outcomes(plain) == outcomes(fused)
