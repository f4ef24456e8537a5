"""Which device and which floating-point type to run in."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from dllmkit.errors import ModelError

if TYPE_CHECKING:
    import torch

DTYPES = ("bfloat16", "float16", "float32", "float64")
MARGIN = 1.5
"""bfloat16 is chosen on a CPU only where its matrix products are this many times faster: the rest of a layer gains less."""
_LONGEST = 1024  # sizes above this are measured at this: the ratio no longer changes, the time does


@dataclass(frozen=True)
class DtypeChoice:
    """A floating-point type and why it was chosen; `speedup` of bfloat16 over float32 where that was measured."""

    dtype: torch.dtype
    reason: str
    speedup: float | None = None


def choose_device(name: str = "auto") -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1`, `mps` into a device; ModelError, with what there is, for one that is not there.

    `auto` is the first CUDA device, else the CPU.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    present = ["cpu", *(f"cuda:{i}" for i in range(gpus)), *(["mps"] if torch.backends.mps.is_available() else [])]
    if name == "auto":
        return torch.device("cuda:0" if gpus else "cpu")
    full = "cuda:0" if name == "cuda" else name
    if full in present:
        return torch.device(full)
    here = f"this machine has {', '.join(present)}"
    if name.startswith("cuda") and not gpus:
        here += f" (torch {torch.__version__} sees no CUDA device)"
    raise ModelError(f"device '{name}' is not available: {here}; expected auto or one of these")


def choose_dtype(
    name: str, device: torch.device, *, width: int = 1024, hidden: int = 1024, rows: int = 64
) -> DtypeChoice:
    """Turn `auto` or the name of a floating-point type into a choice; ModelError for other names.

    `auto` is bfloat16 on GPUs that compute in it and on CPUs where products of a [rows, width] matrix with a
    [width, hidden] one, the sizes of the model's largest layer, are measured to be faster; else float32.
    """
    import torch

    if name in DTYPES:
        return DtypeChoice(getattr(torch, name), "asked for")
    if name != "auto":
        raise ModelError(f"dtype '{name}' is not supported; expected auto, {', '.join(DTYPES)}")
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return DtypeChoice(torch.bfloat16, f"{torch.cuda.get_device_name(device)} computes in bfloat16")
        return DtypeChoice(torch.float32, f"{torch.cuda.get_device_name(device)} does not compute in bfloat16")
    if device.type != "cpu":
        return DtypeChoice(torch.float32, f"bfloat16 is not measured on {device.type}")
    ratio = cpu_speedup(min(rows, _LONGEST), min(width, _LONGEST), min(hidden, _LONGEST))
    faster = ratio >= MARGIN
    reason = f"bfloat16 products run at {ratio:.1f} times the speed of float32 here (bfloat16 from {MARGIN} times on)"
    return DtypeChoice(torch.bfloat16 if faster else torch.float32, reason, ratio)


@lru_cache
def cpu_speedup(rows: int, width: int, hidden: int, repeats: int = 7) -> float:
    """Measure, once per process, how many times faster a bfloat16 product is than a float32 one on the CPU.

    The two are timed in turn and their medians compared, so that another job on the machine disturbs both alike.
    """
    import torch
    from torch.nn import functional

    pairs = []
    for dtype in (torch.float32, torch.bfloat16):
        left, weight = torch.ones(rows, width, dtype=dtype), torch.ones(hidden, width, dtype=dtype)
        functional.linear(left, weight)  # the first call prepares the kernel
        pairs.append((left, weight))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for (left, weight), taken in zip(pairs, times, strict=True):
            start = time.perf_counter()
            functional.linear(left, weight)
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]) / statistics.median(times[1])
