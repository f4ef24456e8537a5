"""Memory is predicted before a decode starts, and what cannot fit is refused with the arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

import dllmkit.execution.footprint as module
from dllmkit import Decoder, load_recipe
from dllmkit.errors import DllmkitError
from dllmkit.testing.toy import toy_model

MEASURE = """
import json, sys
import torch
torch.set_num_threads(1)
from dllmkit import Decoder, load_recipe
from dllmkit.testing.toy import toy_model

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

cache, selector, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = toy_model(0, layers=3, width=512, heads=8, kv_heads=8, vocabulary=16000, dtype=torch.float32)
recipe = load_recipe({"decode": {"gen_length": 256, "cache_policy": cache}, "runtime": {"batch_size": rows}},
                     ["decode.unmask_selector=" + selector])
decoder = Decoder.of(model, recipe)
prompts = [[i] * 700 for i in range(1, rows + 1)]
predicted = decoder.footprint(prompts)
decoder.decode([[1, 2, 3]])  # libraries make their workspaces
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
for done, _ in enumerate(decoder._steps(decoder.requests(prompts))):
    if done == 2 * rows:
        break
print(json.dumps({"predicted": predicted.total, "measured": status("VmHWM") - before, "text": str(predicted)}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak is read from Linux' /proc")
@pytest.mark.parametrize(
    ("cache", "selector", "rows"), [("dual_cache", "threshold", 8), ("dual_cache", "{name: dawn, layers: 2}", 2)]
)
def test_the_prediction_is_within_15_percent_of_the_peak(cache, selector, rows):
    # large allocations from the system and back, or the peak would be that of the allocator's fragments
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, cache, selector, str(rows)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.15), found["text"]


def decoder_of(**decode):
    recipe = load_recipe({"decode": {"gen_length": 32, **decode}, "runtime": {"batch_size": 2}})
    return Decoder.of(toy_model(1, layers=2, width=32, dtype=torch.float32), recipe)


def test_the_store_is_predicted_to_the_byte():
    decoder = decoder_of(cache_policy="dual_cache")
    predicted = decoder.footprint([[1] * 10, [2] * 70, [3] * 50])  # batches of two: the longest pair
    slots = 128 + 1  # 102 positions, in steps of 64, and the spare one
    assert predicted.store == 2 * 2 * 2 * 2 * 8 * slots * 4  # keys and values, layers, rows, heads, head width
    assert predicted.rows == 2
    assert predicted.length == 102
    assert predicted.total == predicted.store + predicted.memory + predicted.step


def test_more_rows_and_signals_need_more():
    few, many = decoder_of(), decoder_of(unmask_selector={"name": "dawn", "layers": 1})
    assert many.footprint([[1] * 9] * 2).step > few.footprint([[1] * 9] * 2).step > few.footprint([[1] * 9]).step
    assert few.footprint([[1] * 9]).store == 0


def test_what_cannot_fit_is_refused_with_the_arithmetic(monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda device: 60_000)
    with pytest.raises(DllmkitError) as caught:
        decoder_of(cache_policy="dual_cache").decode([[1, 2, 3]])
    message = str(caught.value)
    assert "not enough memory on cpu: 1 rows of up to 35 positions: KV store" in message
    assert "largest step" in message
    assert "free: try a smaller runtime.batch_size or decode.gen_length" in message


def test_what_surely_fits_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(module, "footprint", lambda *given: pytest.fail("a tiny decode was predicted"))
    decoder_of().decode([[1, 2, 3]])
