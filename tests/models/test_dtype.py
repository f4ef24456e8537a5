"""The choice of device and dtype."""

from __future__ import annotations

import time

import pytest
import torch

from dllmkit.errors import ModelError
from dllmkit.models import dtype
from dllmkit.models.dtype import choose_device, choose_dtype, cpu_speedup

CPU = torch.device("cpu")


def test_names_are_devices() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_device_that_is_not_there_says_what_is() -> None:
    with pytest.raises(ModelError) as raised:
        choose_device("cuda")
    assert str(raised.value) == (
        f"device 'cuda' is not available: this machine has cpu (torch {torch.__version__} sees no CUDA device); "
        "expected auto or one of these"
    )


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    for name in ("cuda:2", "gpu", "cuda:x", ""):
        with pytest.raises(
            ModelError, match=rf"device '{name}' is not available: this machine has cpu, cuda:0, cuda:1"
        ):
            choose_device(name)


@pytest.mark.parametrize("name", dtype.DTYPES)
def test_names_are_dtypes(name: str) -> None:
    choice = choose_dtype(name, CPU)
    assert (choice.dtype, choice.reason, choice.speedup) == (getattr(torch, name), "asked for", None)


def test_an_unknown_dtype_lists_the_known() -> None:
    with pytest.raises(
        ModelError, match=r"dtype 'int8' is not supported; expected auto, bfloat16, float16, float32, float64"
    ):
        choose_dtype("int8", CPU)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(4.0, torch.bfloat16), (1.5, torch.bfloat16), (1.4, torch.float32), (0.3, torch.float32)]
)
def test_auto_on_a_cpu_follows_the_measurement(
    ratio: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(dtype, "cpu_speedup", lambda *sizes: asked.append(sizes) or ratio)
    choice = choose_dtype("auto", CPU, width=4096, hidden=512)
    assert (choice.dtype, choice.speedup) == (expected, ratio)
    assert f"{ratio:.1f} times the speed of float32 here" in choice.reason
    assert asked == [(64, 1024, 512)]


@pytest.mark.parametrize(("able", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_on_a_gpu_asks_the_gpu(able: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "X100")
    choice = choose_dtype("auto", torch.device("cuda:0"))
    assert choice.dtype == expected
    assert "X100" in choice.reason


def test_the_measurement_is_short_and_made_once() -> None:
    cpu_speedup.cache_clear()
    first = cpu_speedup(16, 256, 256)
    start = time.perf_counter()
    assert cpu_speedup(16, 256, 256) == first
    assert time.perf_counter() - start < 0.01
    assert first > 0
