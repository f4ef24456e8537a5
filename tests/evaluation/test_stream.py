"""A long stream of requests through the batch: every answer is that of its single run, and memory stays flat."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from policies import RandomQuery

from dllmkit.decoder import request_seed
from dllmkit.loop import decode
from dllmkit.policy import Policy
from dllmkit.propose import Proposer
from dllmkit.sampling import Gumbel
from dllmkit.state import Request
from dllmkit.testing.toy import toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.threshold import Threshold
from dllmkit_fast_dllm.dual_cache import DualCache

COUNT, BATCH = 1000, 8


def stream(model: Any) -> list[Request]:
    """Requests of random prompts, prompt lengths and answer lengths."""
    draw, special = Random(11), model.architecture.special
    requests = []
    for index in range(COUNT):
        prompt = tuple(draw.randrange(22) for _ in range(draw.randint(1, 40)))
        length = draw.randint(1, 24)
        requests.append(
            Request(
                index, prompt, length, special.mask_id, special.eos_ids, model.architecture.shift, False,
                request_seed(0, prompt, index),
            )
        )  # fmt: skip
    return requests


def answers(model: Any, requests: list[Request], policy: Policy, batch: int) -> tuple[dict[int, Any], list[int]]:
    """Tokens and counts of every request, and the memory of the process after each hundred."""
    proposer = Proposer(Gumbel(0.5), policy.unmask_selector.signals, model.architecture.special.mask_id)
    found: dict[int, Any] = {}
    resident = []
    for row, _ in decode(model, requests, policy, proposer, batch):
        if row.finished:
            found[row.request.index] = (row.canvas.tolist(), row.nfe, row.query_lengths, row.commit_step.tolist())
            if len(found) % 100 == 0:
                gc.collect()
                resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return found, resident


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("cache", [None, DualCache(), RandomQuery(3, share=0.2)], ids=["none", "dual", "random"])
def test_a_thousand_requests(cache: Any) -> None:
    model = toy_model()
    given = {} if cache is None else {"cache_policy": cache}
    policy = toy_policy(block_scheduler=FixedBlocks(4), unmask_selector=Threshold(0.6), **given)
    requests = stream(model)
    together, resident = answers(model, requests, policy, BATCH)
    assert len(together) == COUNT
    for request in requests:
        alone, _ = answers(model, [request], policy, 1)
        assert together[request.index] == alone[request.index], request.index
    assert len(resident) == COUNT // 100
    assert resident[-1] - resident[1] < 16 << 20, [f"{size >> 20} MiB" for size in resident]
