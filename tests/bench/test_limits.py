"""The limit: products at the sizes of a run, or the memory they must read, whichever takes longer."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from dllmkit.bench import limits
from dllmkit.bench.limits import Limits, Machine
from dllmkit.bench.work import Attended, ForwardWork, Linear, Network, RowWork, parameters
from dllmkit.models.packed import pack
from dllmkit.signals import Signals
from dllmkit.testing.toy import toy_model

WEIGHT, KEYS = Linear(2, 10, 100), Attended(2, 4, 1, 5, 50, 8)


def test_memory_or_arithmetic():
    slow = Limits({WEIGHT: 3e-6, KEYS: 1e-6}, bandwidth=1e9, itemsize=4)
    assert slow.bytes(WEIGHT) == 4000
    assert slow.bytes(KEYS) == 2 * 2 * 50 * 8 * 4
    assert slow.of(WEIGHT) == 4e-6  # the weights take longer to read than to multiply
    assert slow.of(KEYS) == 6.4e-6
    fast = Limits({WEIGHT: 3e-6, KEYS: 1e-6}, bandwidth=1e12, itemsize=4)
    assert fast.of(WEIGHT) == 3e-6
    assert fast.total(Counter({WEIGHT: 3, KEYS: 2})) == pytest.approx(11e-6)


def test_the_best_of_the_rounds_is_the_limit():
    rounds = [Limits({WEIGHT: 3.0, KEYS: 1.0}, 5.0, 4), Limits({WEIGHT: 2.0}, 6.0, 4), Limits({KEYS: 4.0}, 1.0, 4)]
    assert Limits.least(rounds) == Limits({WEIGHT: 2.0, KEYS: 1.0}, 6.0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_product_of_a_forward_is_measured(dtype):
    model = toy_model(dtype=dtype)
    network = Network.of(model, Signals())
    work = ForwardWork((RowWork(6, 10, 3), RowWork(5, 9, 2)))
    products = network.layer_products(work) + network.head_products(work)
    measured = Machine.of(model).measure(products)
    assert measured.seconds.keys() == products.keys()
    assert min(measured.seconds.values()) > 0
    assert measured.bandwidth > 0
    assert measured.itemsize == dtype.itemsize


def test_the_layers_of_the_model_are_measured():
    model = toy_model(dtype=torch.float32)
    machine = Machine.of(model)
    layer, head = model.network.model.layers[0], model.network.lm_head
    assert machine.linears[32, 64] is layer.mlp.gate_proj
    assert machine.linears[head.in_features, head.out_features] is head
    assert machine.weight_bytes == 4 * sum(p.numel() for p in model.network.parameters())
    layered, into = (call() for call in machine._linear(Linear(3, 32, 64)))
    assert torch.allclose(layered, into, atol=1e-5)


def test_packed_layers_have_limits_and_are_counted():
    model = toy_model(dtype=torch.float32)
    size, work = parameters(model), ForwardWork((RowWork(6, 10, 3),))
    products = Network.of(model, Signals()).layer_products(work)
    pack(model.network)
    machine = Machine.of(model)
    assert (parameters(model), machine.weight_bytes) == (size, 4 * size)
    assert Network.of(model, Signals()).layer_products(work) == products
    assert machine.measure(products).seconds.keys() == products.keys()


def test_both_ways_of_attention_compute_the_same_shape(monkeypatch):
    machine = Machine.of(toy_model(dtype=torch.float32))
    assert [call().numel() for call in machine._attention(KEYS)] == [2 * 4 * 5 * 8] * 2
    monkeypatch.setattr(limits, "_BUFFER", 2 * 4 * 5 * 50 * 4 - 1)  # the scores of the plain products do not fit
    assert len(machine._attention(KEYS)) == 1


@pytest.mark.gpu
def test_a_gpu_has_limits_too():
    model = toy_model(dtype=torch.bfloat16, width=64)
    model.network.to("cuda")
    machine = Machine.of(type(model).wrap(model.network, model.architecture))
    measured = machine.measure([Linear(64, 64, 64), KEYS])
    assert machine.device.type == "cuda"
    assert 0 < min(measured.seconds.values()) < 1e-2
    assert measured.bandwidth > 1e9
