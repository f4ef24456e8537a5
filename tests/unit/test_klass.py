"""KLASS against a transcription of its rule on the distributions of full forwards."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from decoding import outcomes

from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.quota import Quota, quota_until
from dllmkit_klass.klass import Klass

model_of = cache(toy_model)


def transcription(model, prompt, gen_length, block_length, tau, kl, history, steps):
    """One row, by the paper's loop, in float64 with full forwards."""
    mask = model.architecture.special.mask_id
    x = [*prompt, *[mask] * gen_length]
    nfe = 0
    for start in range(len(prompt), len(x), block_length):
        stop = min(start + block_length, len(x))
        share = max(1, steps * (stop - start) // gen_length)
        seen: dict[int, torch.Tensor] = {}
        past: dict[int, list[float]] = {}
        step = 0
        todo = set(range(start, stop))
        while todo:
            p = logits_of(model, x).softmax(-1)
            nfe += 1
            for i in todo:
                if i in seen:
                    past[i].append(float((p[i] * ((p[i] + 1e-12).log() - (seen[i] + 1e-12).log())).sum()))
                else:
                    past[i] = []
                seen[i] = p[i]
            best = {i: int(p[i, :mask].argmax()) for i in todo}
            sure = {i: float(p[i, best[i]]) for i in todo}
            chosen = [
                i for i in todo if sure[i] > tau and len(past[i]) >= history and all(v < kl for v in past[i][-history:])
            ]
            if not chosen:
                n = max(1, quota_until(step + 1, stop - start, share) - quota_until(step, stop - start, share))
                chosen = sorted(todo, key=lambda i: (-sure[i], i))[:n]
            for i in chosen:
                x[i] = best[i]
                todo.discard(i)
            step += 1
    return x, nfe


def logits_of(model, x):
    network = model.network
    kept = network.config._attn_implementation
    network.set_attn_implementation("eager")
    n = len(x)
    out = network(torch.tensor([x]), attention_mask=torch.zeros(1, 1, n, n, dtype=model.dtype), use_cache=False)
    network.set_attn_implementation(kept)
    return out.logits[0]


@pytest.mark.parametrize("kl", [0.01, 0.3, 5.0])
@pytest.mark.parametrize(("history", "steps", "tau"), [(1, 24, 0.5), (2, 24, 0.3), (2, 9, 0.6), (3, 24, 0.0)])
def test_the_rule(kl, history, steps, tau):
    asked = [[1, 2, 3], [7, 5, 4, 3, 2, 9], [3]]
    policy = toy_policy(unmask_selector=Klass(tau, kl, history, steps), block_scheduler=FixedBlocks(10))
    rows, _ = toy_decode(model_of(8), asked, policy, gen_length=24, batch_size=3)
    for prompt, row in zip(asked, rows, strict=True):
        want, nfe = transcription(model_of(8), prompt, 24, 10, tau, kl, history, steps)
        assert row.canvas.tolist() == want
        assert row.nfe == nfe


def test_reductions():  # P15
    asked = [[1, 2, 3], [4, 5]]
    never = toy_policy(unmask_selector=Klass(0.0, 1e-300, 1))
    assert outcomes(toy_decode(model_of(8), asked, never)[0]) == outcomes(
        toy_decode(model_of(8), asked, toy_policy(unmask_selector=Quota()))[0]
    )
