"""How much memory a device has left, asked before a checkpoint is read into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that can still be allocated on a device, or None where nobody can tell.

    On a CPU the system hands out more than it has and kills the process later, so this is the only warning there is.
    """
    if device.type == "cuda":
        import torch

        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, not in use
        return int(torch.cuda.mem_get_info(device)[0]) + spare
    if device.type == "cpu":
        limits = [limit for limit in (_available(), _container()) if limit is not None]
        return min(limits, default=None)
    return None


def human(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**28 else f"{size / 2**20:.1f} MiB"


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _container() -> int | None:
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))  # "max" where there is none
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0, limit - used + int(stat.get("inactive_file", 0)))  # cached files give way
    except (OSError, ValueError):
        return None
