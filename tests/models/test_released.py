"""The engine's forwards against those of the authors' classes, recorded on the golden checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dllmkit.models.checkpoint import load_network, read_config, recognise
from dllmkit.models.dream import Dream
from dllmkit.models.llada import Llada
from dllmkit.models.model import DiffusionModel
from dllmkit.testing.conformance import engine_logits

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((Path(__file__).parent / "released_logits.json").read_text())["cases"]
TOLERANCE = 1.5e-4  # recorded to four decimals; the authors' LLaDA rounds queries and keys to float32 (1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["model"])
@torch.inference_mode()
def test_full_and_cached_forwards(case: dict[str, Any]) -> None:
    folder = GOLDEN / case["model"]
    architecture = recognise(read_config(folder), [Llada(), Dream()])
    network = load_network(folder, architecture, torch.device("cpu"), torch.float64)
    model = DiffusionModel.wrap(network, architecture)
    tokens = torch.tensor(case["tokens"])
    changed = tokens.clone()
    changed[20:26] = torch.tensor(case["changed"])
    n = len(tokens)
    for name, query in (("full", range(n)), ("prefix", range(20, n)), ("dual", range(20, 32))):
        kv = model.new_kv(1, n)
        logits = engine_logits(model, tokens, range(n), kv)
        if name != "full":
            logits = engine_logits(model, changed, query, kv)
        rows = [i - query[0] for i in case[f"{name}_rows"]]
        error = (logits[rows][:, ::4] - torch.tensor(case[name])).abs().max()
        assert error < TOLERANCE, f"{name}: {error:.2g} off"
