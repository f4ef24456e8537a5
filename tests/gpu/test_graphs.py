"""On a GPU: capture and replay equal eager steps, one sync a step, a pool that does not grow; a table of times.

`pytest -m gpu -s` prints the table. Checkpoints are random: small ones for the checks, one of 8B shape for the times.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from decoding import outcomes

from dllmkit.execution.compiled import Compiled
from dllmkit.execution.graphs import Graphed
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.quota import Quota
from dllmkit_baseline.threshold import Threshold
from dllmkit_dawn.dawn import Dawn
from dllmkit_dsb.dsb_cache import DsbCache
from dllmkit_dsb.sliding_block import SlidingBlock
from dllmkit_fast_dllm.dual_cache import DualCache
from dllmkit_fast_dllm.prefix_cache import PrefixCache
from dllmkit_klass.klass import Klass
from dllmkit_streaming.dynamic_threshold import DynamicThreshold
from dllmkit_streaming.suffix_window import SuffixWindow

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

PROMPTS = [[1, 2, 3, 4, 5], [7, 8, 9] * 8, [3] * 7, [5, 6] * 9, [11]]
POLICIES = {
    "llada": {"unmask_selector": Quota(10)},
    "fast_dllm prefix": {"cache_policy": PrefixCache(), "unmask_selector": Threshold(0.5)},
    "fast_dllm dual": {"cache_policy": DualCache(), "unmask_selector": Threshold(0.5)},
    "streaming": {
        "cache_policy": PrefixCache(),
        "context_window": SuffixWindow(6),
        "unmask_selector": DynamicThreshold(0.7, 0.3),
    },
    "dsb": {"block_scheduler": SlidingBlock(6), "cache_policy": DsbCache(4), "unmask_selector": Threshold(0.5)},
    "dawn": {"cache_policy": DualCache(), "unmask_selector": Dawn(0.6, 0.2, 0.1, 0.4, 0.3, layers=1)},
    "klass": {"unmask_selector": Klass(0.4, 0.5, 1, 10)},
}
MODES = {"none": lambda: None, "default": Compiled, "reduce-overhead": Graphed}


def on_gpu(dtype: torch.dtype, **sizes: int):
    with torch.device("cpu"):
        model = toy_model(5, dtype=dtype, **sizes)
    return type(model).wrap(model.network.to("cuda"), model.architecture)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("method", POLICIES)
def test_replay_equals_eager(method, mode, batch_size):
    model, policy = on_gpu(torch.float64), toy_policy(**POLICIES[method])
    plain, _ = toy_decode(model, PROMPTS, policy)
    fast, _ = toy_decode(model, PROMPTS, policy, batch_size=batch_size, execution=MODES[mode]())
    assert outcomes(fast) == outcomes(plain)


@pytest.mark.parametrize("method", POLICIES)
def test_a_step_waits_for_the_device_once(method):
    model, policy, execution = on_gpu(torch.float32), toy_policy(**POLICIES[method]), Graphed()
    downloads, kept = [], torch.Tensor.cpu

    def counted(self: torch.Tensor) -> torch.Tensor:
        torch.cuda.set_sync_debug_mode("default")
        downloads.append(self.shape)
        got = kept(self)
        torch.cuda.set_sync_debug_mode("error")  # anything else that waits raises
        return got

    toy_decode(model, PROMPTS[:1], policy, execution=execution)  # compiles
    patch = pytest.MonkeyPatch()
    patch.setattr(torch.Tensor, "cpu", counted)
    plain = execution.start

    def started(*given):
        run = plain(*given)

        def watched(plan, phase):
            known = execution.captured
            torch.cuda.set_sync_debug_mode("default")  # a new bucket may wait while it is captured
            decided = run(plan, phase)
            torch.cuda.set_sync_debug_mode("error" if execution.captured == known else "default")
            return decided

        return watched

    patch.setattr(Graphed, "start", lambda self, *given: started(*given))
    try:
        _, steps = toy_decode(model, PROMPTS[:1], policy, gen_length=64, execution=execution)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        patch.undo()
    assert len(downloads) == len(steps)


def test_the_pool_does_not_grow_with_the_steps():
    model, policy = on_gpu(torch.float32), toy_policy(**POLICIES["fast_dllm dual"])
    execution, used = Graphed(), []
    for _ in range(4):
        toy_decode(model, [[1, 2, 3]] * 6, policy, gen_length=64, execution=execution)
        torch.cuda.synchronize()
        used.append(torch.cuda.memory_allocated())
    assert max(used[1:]) <= used[1] * 1.01


def test_table_of_times(capsys):
    """Milliseconds a step, median of five decodes, eager, compiled and captured; nothing is asserted about them."""
    shapes = {
        "small": {"layers": 4, "width": 256, "heads": 4, "kv_heads": 4, "vocabulary": 1000},
        "8b": {"layers": 32, "width": 4096, "heads": 32, "kv_heads": 32, "vocabulary": 126464},
    }
    rows = []
    for shape, sizes in shapes.items():
        with torch.device("cuda"):
            from transformers import LlamaConfig, LlamaForCausalLM

            config = LlamaConfig(
                vocab_size=sizes["vocabulary"], hidden_size=sizes["width"], intermediate_size=3 * sizes["width"],
                num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"],
                num_key_value_heads=sizes["kv_heads"], max_position_embeddings=4096,
            )  # fmt: skip
            torch.set_default_dtype(torch.bfloat16)
            try:
                network = LlamaForCausalLM(config).eval().requires_grad_(False)
            finally:
                torch.set_default_dtype(torch.float32)
        toy = toy_model(0, vocabulary=sizes["vocabulary"])
        model = type(toy).wrap(network, toy.architecture)
        policy = toy_policy(cache_policy=DualCache(), unmask_selector=Quota(64))
        for mode, make in MODES.items():
            execution, times = make(), []
            for _ in range(6):
                torch.cuda.synchronize()
                started = time.perf_counter()
                before = 0.0 if execution is None else execution.preparing
                _, steps = toy_decode(model, [[1] * 128], policy, gen_length=256, execution=execution)
                spent = time.perf_counter() - started - (0.0 if execution is None else execution.preparing - before)
                times.append(1e3 * spent / len(steps))
            rows.append((shape, mode, statistics.median(times[1:]), 0.0 if execution is None else execution.preparing))
        del network, model
        torch.cuda.empty_cache()
    with capsys.disabled():
        print(f"\n{torch.cuda.get_device_name()}, bfloat16, dual_cache + quota, canvas 384, batch 1")
        for shape, mode, milliseconds, preparing in rows:
            print(f"{shape:6s} {mode:16s} {milliseconds:8.2f} ms a step, {preparing:6.1f} s of compiling and capturing")
