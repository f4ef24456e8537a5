"""Compiled steps: one full graph for all sizes, the same tokens and forwards as eager ones."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from decoding import outcomes

from dllmkit.errors import DllmkitError
from dllmkit.execution.compiled import Compiled
from dllmkit.execution.graphs import Graphed
from dllmkit.sampling import Gumbel
from dllmkit.sizing import BUCKETS
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.dream_schedule import DreamSchedule
from dllmkit_baseline.factor import Factor
from dllmkit_baseline.quota import Quota
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_fast_dllm.prefix_cache import PrefixCache
from dllmkit_klass.klass import Klass
from dllmkit_local_leap.local_leap import LocalLeap
from dllmkit_streaming.dynamic_threshold import DynamicThreshold
from dllmkit_streaming.suffix_window import SuffixWindow

PROMPTS = [[1, 2, 3, 4, 5], [7, 8, 9] * 8, [3] * 7, [5, 6] * 9, [11]]
DAWN = Dawn(0.6, 0.2, 0.1, 0.4, 0.3, layers=1)
POLICIES = {
    "llada": {"unmask_selector": Quota(10)},
    "dream": {"unmask_selector": DreamSchedule(10)},
    "fast_dllm prefix": {"cache_policy": PrefixCache(), "unmask_selector": Threshold(0.5)},
    "fast_dllm dual": {"cache_policy": DualCache(), "unmask_selector": Factor(2.0)},
    "streaming": {
        "cache_policy": PrefixCache(), "context_window": SuffixWindow(6), "unmask_selector": DynamicThreshold(0.7, 0.3),
    },
    "dsb": {"block_scheduler": SlidingBlock(6), "cache_policy": DsbCache(4), "unmask_selector": Threshold(0.5)},
    "dawn": {"cache_policy": DualCache(), "unmask_selector": DAWN},
    "dawn+dsb": {"block_scheduler": SlidingBlock(6), "cache_policy": DsbCache(4), "unmask_selector": DAWN},
    "local_leap": {"unmask_selector": LocalLeap(0.5, 0.3, 2)},
    "klass": {"unmask_selector": Klass(0.4, 0.5, 1, 10)},
}  # fmt: skip
model_of = cache(lambda shift, dtype: toy_model(5, shift=shift, layers=1, width=16, heads=2, kv_heads=1, dtype=dtype))
new = {
    "default": lambda backend: Compiled(backend),
    "reduce-overhead": lambda backend: Graphed(Compiled(backend, BUCKETS)),
}


@pytest.mark.parametrize("mode", new)
@pytest.mark.parametrize("method", POLICIES)
def test_every_method_is_one_full_graph_for_all_sizes(method, mode):
    model, policy = model_of(0, torch.float64), toy_policy(**POLICIES[method])
    execution = new[mode]("eager")  # traced and guarded as for the real backend, without its minutes
    plain, _ = toy_decode(model, PROMPTS, policy)
    alone, _ = toy_decode(model, PROMPTS, policy, execution=execution)
    assert outcomes(alone) == outcomes(plain)
    with torch.compiler.set_stance("fail_on_recompile"):  # other lengths, other fillings
        toy_decode(model, [[2] * n for n in (1, 6, 13, 30)], policy, gen_length=21, execution=execution)
        with pytest.raises(RuntimeError, match="recompile"):  # the stance does hold: two rows need a graph of their own
            toy_decode(model, PROMPTS, policy, batch_size=2, execution=execution)


@pytest.mark.parametrize("mode", new)
def test_a_batch_needs_a_handful_of_graphs(mode):
    model, policy = model_of(1, torch.float64), toy_policy(**POLICIES["dawn+dsb"])
    execution = new[mode]("eager")
    plain, _ = toy_decode(model, PROMPTS, policy)
    for batch_size in (1, 2, 3, 5):
        batch, _ = toy_decode(model, PROMPTS, policy, batch_size=batch_size, execution=execution)
        assert outcomes(batch) == outcomes(plain)
    compiled = execution if isinstance(execution, Compiled) else execution.compiled
    assert 0 < compiled.graphs <= 6
    assert execution.preparing > 0


def test_sampling_draws_the_same():
    model, policy = model_of(0, torch.float32), toy_policy(**POLICIES["fast_dllm dual"])
    plain, _ = toy_decode(model, PROMPTS, policy, sampler=Gumbel(0.8))
    same, _ = toy_decode(model, PROMPTS, policy, sampler=Gumbel(0.8), execution=Compiled("eager"))
    assert outcomes(same) == outcomes(plain)


@pytest.mark.slow  # the compiler needs a quarter of a minute and more for each
@pytest.mark.parametrize(
    ("method", "shift", "dtype"),
    [
        ("llada", 1, torch.float32),
        ("fast_dllm dual", 0, torch.float32),
        ("streaming", 1, torch.float64),
        ("dawn+dsb", 0, torch.float64),
        ("klass", 0, torch.float32),
    ],
)
def test_machine_code_gives_the_same_tokens(method, shift, dtype):
    model, policy = model_of(shift, dtype), toy_policy(**POLICIES[method])
    plain, _ = toy_decode(model, PROMPTS, policy)
    compiled, _ = toy_decode(model, PROMPTS, policy, execution=Compiled("inductor"))
    assert outcomes(compiled) == outcomes(plain)


class Peeking(Threshold):
    """Looks at its data on the host."""

    def select(self, proposal):
        return proposal.eligible if proposal.confidence.sum() > 0 else super().select(proposal)


def test_a_selector_that_looks_at_its_data_is_told_so():
    with pytest.raises(DllmkitError, match=r"cannot be compiled: .*\. A plugin's `select` may not look"):
        toy_decode(
            model_of(0, torch.float64), PROMPTS, toy_policy(unmask_selector=Peeking(0.5)), execution=Compiled("eager")
        )
