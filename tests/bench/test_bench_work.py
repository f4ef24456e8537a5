"""Counted work is the work done: operations beside torch's own counter."""

from __future__ import annotations

import pytest
from policies import RandomQuery, Window
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dllmkit.bench.clock import StepLog
from dllmkit.bench.work import Attended, ForwardWork, Linear, Network, RowWork, total_flops
from dllmkit.loop import decode
from dllmkit.propose import Proposer
from dllmkit.sampling import Gumbel
from dllmkit.signals import Attention, Signals
from dllmkit.state import Request
from dllmkit.testing.toy import toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.threshold import Threshold


class Reads(Threshold):
    """A selector with signals of our choice."""

    def __init__(self, signals):
        super().__init__(0.5)
        object.__setattr__(self, "_signals", signals)

    @property
    def signals(self):
        return self._signals


def counted(model, policy, prompts, batch_size):
    """Decode; return the network, the log, and the operations that torch counted."""
    special, signals = model.architecture.special, policy.unmask_selector.signals
    requests = [Request(i, tuple(p), 24, special.mask_id) for i, p in enumerate(prompts)]
    log = StepLog()
    # the counter does not know the CPU's fused kernel, so attention runs as matrix products here
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for _, step in decode(model, requests, policy, Proposer(Gumbel(), signals, special.mask_id), batch_size, log):
            log.on_step(step)
    log.close(1.0)
    return Network.of(model, signals), [forward.work for forward in log.forwards], counter.get_total_flops()


SIGNALS = {
    "none": Signals(),
    "proposed": Signals(attention=Attention((-1,))),
    "query": Signals(attention=Attention((0, -1), of="query")),
    "mean": Signals(attention=Attention((0,), mean=True)),
    "observed": Signals(observed=True),
}


COMPONENTS = {
    "full": {},
    "cached": {"cache_policy": RandomQuery(2, share=0.3)},
    "window": {"context_window": Window(5)},
}
CASES = [(where, what) for where in COMPONENTS for what in SIGNALS if (where, what) != ("cached", "mean")]
# the mean of stored rows is written as a product, and is none of the network's


@pytest.mark.parametrize(("where", "what"), CASES)
def test_operations_are_those_that_torch_counts(where, what):
    selector = Reads(SIGNALS[what])
    policy = toy_policy(block_scheduler=FixedBlocks(6), unmask_selector=selector, **COMPONENTS[where])
    network, works, flops = counted(toy_model(layers=3), policy, [[1, 2, 3], [4, 5, 6]], batch_size=1)
    assert total_flops(network, works) == flops > 0


def test_rows_of_equal_length_in_a_batch():
    network, works, flops = counted(toy_model(), toy_policy(block_scheduler=FixedBlocks(24)), [[1, 2], [3, 4]], 2)
    sizes = {len(work.rows) for work in works}
    assert 2 in sizes
    padded = sum(
        len(work.rows) * max(row.proposed for row in work.rows) - sum(row.proposed for row in work.rows)
        for work in works
    )
    assert total_flops(network, works) == flops, padded


def test_observed_confidences_take_the_head_on_committed_rows():
    plain = Network.of(toy_model(), Signals())
    observed = Network.of(toy_model(), Signals(observed=True))
    work = ForwardWork((RowWork(20, 30, 4, seen=9),))
    assert plain.head_products(work) == {Linear(4, 32, 24): 1}
    assert observed.head_products(work) == {Linear(13, 32, 24): 1}
    assert observed.flops(work) - plain.flops(work) == 2 * 9 * 32 * 24


def test_products_add_up_to_the_operations():
    network = Network.of(toy_model(layers=2, width=32, heads=4, kv_heads=2, vocabulary=24), Signals())
    work = ForwardWork((RowWork(6, 10, 3), RowWork(6, 10, 2)))
    layers, head = network.layer_products(work), network.head_products(work)
    assert layers == {
        Linear(12, 32, 32): 4,  # queries and outputs
        Linear(12, 32, 16): 4,  # keys and values
        Linear(12, 32, 64): 4,
        Linear(12, 64, 32): 2,
        Attended(2, 4, 2, 6, 10, 8): 2,
    }
    assert head == {Linear(5, 32, 24): 1}
    assert sum(p.flops * n for p, n in (layers + head).items()) == network.flops(work)


def test_kinds():
    whole, part = RowWork(9, 9, 2), RowWork(3, 9, 2)
    assert [ForwardWork(rows).kind for rows in ((whole, whole), (part,), (whole, part))] == [
        "refresh",
        "refine",
        "mixed",
    ]
