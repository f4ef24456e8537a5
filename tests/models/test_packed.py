"""Packed linear layers multiply like the layers they are made of."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from dllmkit.models import packed
from dllmkit.models.packed import PackedLinear, gain, pack
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_fast_dllm.dual_cache import DualCache

pytestmark = pytest.mark.skipif(gain(torch.float32, 64, 64) == 0, reason="this build of torch packs no weights")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5), (1, 70)])
def test_products_are_those_of_the_layer(dtype, bias, shape):
    layer = torch.nn.Linear(24, 40, bias=bias).to(dtype).requires_grad_(False)
    x = torch.randn(*shape, 24, dtype=dtype)
    one = PackedLinear(layer)
    assert one(x).shape == (*shape, 40)
    torch.testing.assert_close(one(x), layer(x))
    assert torch.equal(one.weight, layer.weight)


def test_a_compiled_graph_calls_the_same_layer():
    one = PackedLinear(torch.nn.Linear(24, 40).requires_grad_(False))
    x = torch.randn(2, 5, 24)
    compiled = torch.compile(lambda x: one(x).relu(), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), one(x).relu())


def test_a_packed_model_decodes_the_same():
    model = toy_model(3, dtype=torch.float32)
    network = deepcopy(model.network)
    pack(network)
    assert not [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    prompts, policy = [[1, 2, 3], [7, 8, 9, 10, 11]], toy_policy(cache_policy=DualCache())
    plain, _ = toy_decode(model, prompts, policy, batch_size=2)
    same, _ = toy_decode(type(model).wrap(network, model.architecture), prompts, policy, batch_size=2)
    assert [row.canvas.tolist() for row in same] == [row.canvas.tolist() for row in plain]


def test_no_gain_where_nothing_can_be_packed(monkeypatch):
    assert gain(torch.float64, 64, 64) == 0
    monkeypatch.setattr(packed, "_pack", lambda weight: (_ for _ in ()).throw(RuntimeError))
    gain.cache_clear()
    assert gain(torch.float32, 32, 32) == 0
    gain.cache_clear()
