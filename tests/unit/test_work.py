"""Work and memory follow |query| and |visible|: counted FLOPs, KV bytes, transfers."""

from __future__ import annotations

import pytest
import torch
from policies import RandomQuery, Window
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dllmkit.execution.eager import Eager
from dllmkit.inputs import prepare
from dllmkit.loop import Batch
from dllmkit.models.attention import AttentionStep
from dllmkit.plan import pack
from dllmkit.propose import Proposer
from dllmkit.sampling import Gumbel
from dllmkit.signals import Signals
from dllmkit.state import Request
from dllmkit.testing.toy import toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks

WIDTH, HEADS, KV_HEADS, LAYERS, VOCABULARY = 32, 4, 2, 2, 24
HEAD = WIDTH // HEADS


def flops_of(query: int, visible: int, eligible: int) -> int:
    """FLOPs of one row's forward: projections and MLP on the query, attention to the visible, head on the eligible."""
    projections = 2 * query * WIDTH * (2 * WIDTH + 2 * KV_HEADS * HEAD)
    mlp = 3 * 2 * query * WIDTH * 2 * WIDTH
    attention = 2 * 2 * HEADS * query * visible * HEAD
    return LAYERS * (projections + mlp + attention) + 2 * eligible * WIDTH * VOCABULARY


def steps(model, policy, prompt_length, gen_length, n):
    """Run n steps by hand; yield the lane, its plan, the store and the FLOPs of each."""
    special = model.architecture.special
    request = Request(0, tuple(range(1, prompt_length + 1)), gen_length, special.mask_id)
    batch = Batch.of(model, [request], policy, 1, Eager())
    batch.fill()
    (lane,) = batch.lanes
    for _ in range(n):
        row = lane.row
        row.block, row.refresh = lane.schedule(row), lane.cache.refresh_due(row)
        row.visible = lane.context(row)
        row.query = lane.cache.query(row)
        lane.settle(batch.kv)
        (plan,) = pack([lane], batch.kv)
        inputs = prepare(plan, batch.kv, batch.memory).typed()
        # the counter does not know the CPU's fused kernel, so attention runs as matrix products here
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            Proposer(Gumbel(), Signals(), special.mask_id).propose(model, model.forward(inputs, Signals()), inputs)
        yield lane, inputs, batch.kv, counter.get_total_flops()
        row.nfe += 1


@pytest.mark.parametrize("window", [None, 0, 5])
@pytest.mark.parametrize("cached", [False, True])
def test_flops_and_bytes(window, cached):
    given = {"block_scheduler": FixedBlocks(4)}
    if cached:
        given["cache_policy"] = RandomQuery(2, share=0.2)
    if window is not None:
        given["context_window"] = Window(window)
    model = toy_model(layers=LAYERS, width=WIDTH, heads=HEADS, kv_heads=KV_HEADS, vocabulary=VOCABULARY)
    sizes = []
    for lane, inputs, kv, flops in steps(model, toy_policy(**given), prompt_length=6, gen_length=120, n=3):
        row = lane.row
        sizes.append(len(row.query))
        assert flops == flops_of(len(row.query), len(row.visible), len(row.eligible))
        assert inputs.key_positions.shape[1] == len(row.visible)
        if not cached:
            assert kv is None  # no store for a policy that never reads one
        else:
            slots = -(-len(row.visible) // 64) * 64 + 1
            assert kv.nbytes == 2 * LAYERS * KV_HEADS * HEAD * slots * 8
            assert (kv.slot_of >= 0).sum() == len(row.visible)
    if cached:
        assert sizes[1] < sizes[0]


def test_reads_are_views_when_the_rows_are_a_run():
    model = toy_model()
    *_, (lane, inputs, kv, _) = steps(model, toy_policy(cache_policy=RandomQuery()), 6, 30, 2)
    key = torch.zeros(1, 2, len(lane.row.query), 8, dtype=model.dtype)
    keys, values = AttentionStep(inputs, None, frozenset(), plain=False).exchange(0, key, key)
    assert keys.data_ptr() == kv.keys[0].data_ptr()
    assert values.data_ptr() == kv.values[0].data_ptr()


def test_one_download_per_step(monkeypatch):
    """The host reads the device once a step: counted at the only place where tensors become arrays."""
    from dllmkit.testing.toy import toy_decode

    downloads = []
    kept = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: downloads.append(self.shape) or kept(self))
    reads = []
    kept_item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: reads.append(1) or kept_item(self))
    rows, _ = toy_decode(toy_model(), [[1, 2, 3], [4, 5, 6]], toy_policy(), gen_length=20, batch_size=2)
    assert len(downloads) == max(r.nfe for r in rows)
    assert not reads
