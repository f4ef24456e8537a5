"""Random weights in the sizes of published models."""

from __future__ import annotations

import json

import pytest
import torch
from shell import ROOT

from dllmkit.bench import shapes
from dllmkit.bench.shapes import NAMES, Shape, random_model
from dllmkit.errors import ModelError
from dllmkit.models import memory
from dllmkit.models.dream import Dream
from dllmkit.models.llada import Llada
from dllmkit.testing.toy import toy_decode, toy_policy

FAMILIES = [Llada(), Dream()]
CPU = torch.device("cpu")
PARAMETERS = {"8b": 8_015_581_184, "1b": 1_486_972_928, "135m": 251_889_984, "tiny": 3_627_264}


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name):
    architecture = Shape.named(name).architecture(FAMILIES)
    with torch.device("meta"):
        network = architecture.model_class(architecture.config)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    assert architecture.special.eos_ids == ()
    assert name == "tiny" or network.lm_head.out_features == 126464


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_a_config_file_is_a_shape(family):
    folder = ROOT / "tests" / "golden" / f"{family}-100"
    for path in (folder, folder / "config.json"):
        shape = Shape.named(str(path))
        model = random_model(shape, shape.architecture(FAMILIES), CPU, torch.float32)
        rows, _ = toy_decode(model, [[1, 2, 3]], toy_policy(), gen_length=8)
        assert rows[0].n_committed == 8


def test_weights_come_from_the_seed_and_keep_activations_finite():
    shape = Shape.named("tiny")
    architecture = shape.architecture(FAMILIES)
    one, same, other = (random_model(shape, architecture, CPU, torch.bfloat16, seed) for seed in (1, 1, 2))
    weights = [model.network.model.layers[3].mlp.up_proj.weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert {p.dtype for p in one.network.parameters()} == {torch.bfloat16}
    frequencies = one.network.model.rotary_emb.inv_freq
    assert frequencies.dtype == torch.float32
    assert frequencies[0] == 1
    states = one.network.model.embed_tokens(torch.arange(9)[None])
    assert states.float().std() == pytest.approx(1, abs=0.1)
    logits = one.logits(one.network.model.norm(states))
    assert logits.float().std() == pytest.approx(1, abs=0.2)


def test_what_does_not_fit_is_refused_with_the_arithmetic(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2**30)
    shape = Shape.named("8b")
    with pytest.raises(ModelError) as caught:
        random_model(shape, shape.architecture(FAMILIES), CPU, torch.bfloat16)
    assert str(caught.value) == (
        "shape '8b' does not fit into memory: 8,015,581,184 parameters x 2 bytes (bfloat16) = 14.9 GiB on cpu, 1.0 GiB is "
        "free; use a smaller --shape, another device or runtime.dtype"
    )


def test_no_memory_is_taken_before_it_is_counted(monkeypatch):
    taken = []
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    monkeypatch.setattr(shapes, "_draw", lambda *arguments: taken.append(arguments))
    shape = Shape.named("tiny")
    with pytest.raises(ModelError):
        random_model(shape, shape.architecture(FAMILIES), CPU, torch.float32)
    assert not taken


def test_mistakes(tmp_path):
    with pytest.raises(ModelError, match=r"no shape '135', and no config.json of that name; did you mean '135m'"):
        Shape.named("135")
    file = tmp_path / "config.json"
    file.write_text("[1]")
    with pytest.raises(ModelError, match="holds a JSON list"):
        Shape.named(str(file))
    file.write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ModelError, match="no model family recognises"):
        Shape.named(str(file)).architecture(FAMILIES)
