"""The metrics of a run, each with its one definition, and the environment they were measured in."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

DEFINITIONS = {
    "prompts": "requests decoded, repeated prompts included",
    "nfe": "model forwards a row took part in, summed over rows; refresh and refine forwards count alike",
    "query_tokens": "positions recomputed, summed over forwards: the size of the work (forwards of different size differ)",
    "attended": "query-key pairs, |query| x |visible|, summed over forwards",
    "tokens": "generated positions that a forward committed, end-of-sequence tokens and what follows them included",
    "answer_tokens": "generated tokens before the first end-of-sequence token",
    "tpf": "tokens / nfe",
    "tpf_answer": "answer_tokens / nfe",
    "seconds": "wall time of decoding: model loading, compiling, tokenising and printing excluded",
    "tps": "tokens / seconds",
    "tps_answer": "answer_tokens / seconds",
    "flops": "floating-point operations of all forwards, counted by torch",
    "accuracy": "right answers / prompts; the matcher of the task says what is right",
}


class Counted(Protocol):
    """What metrics are summed up from: a Result, or a sample of an evaluation."""

    @property
    def nfe(self) -> int: ...

    @property
    def n_committed(self) -> int: ...

    @property
    def answer_length(self) -> int: ...

    @property
    def query_tokens(self) -> int: ...

    @property
    def attended(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of a run over some prompts; `DEFINITIONS` says what each means. What was not measured is None."""

    prompts: int
    nfe: int
    query_tokens: int
    attended: int
    tokens: int
    answer_tokens: int
    tpf: float | None
    tpf_answer: float | None
    seconds: float | None
    tps: float | None
    tps_answer: float | None
    flops: int | None = None
    accuracy: float | None = None

    @classmethod
    def of(
        cls, results: Sequence[Counted], seconds: float | None, *, flops: int | None = None, right: int | None = None
    ) -> Metrics:
        """Sum up results; `seconds` is the wall time of decoding them all, None if it was not measured, as for the others.

        `right` counts right answers.
        """
        nfe = sum(r.nfe for r in results)
        tokens, answer = sum(r.n_committed for r in results), sum(r.answer_length for r in results)
        return cls(
            len(results), nfe, sum(r.query_tokens for r in results), sum(r.attended for r in results), tokens, answer,
            _ratio(tokens, nfe), _ratio(answer, nfe), seconds, _ratio(tokens, seconds), _ratio(answer, seconds),
            flops, None if right is None else _ratio(right, len(results)),
        )  # fmt: skip

    def as_dict(self) -> dict[str, int | float | None]:
        """Return the figures as plain data."""
        return asdict(self)


def _ratio(count: int, by: float | None) -> float | None:
    return count / by if by else None


def environment(model: Any = None) -> dict[str, Any]:
    """Describe the machine and the software; with a DiffusionModel also its device, dtype and family."""
    import torch

    described: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {
            name: _version(name) for name in ("dllmkit", "torch", "transformers", "numpy", "omegaconf", "pluggy")
        },
        "git_commit": git_commit(),
    }
    if model is not None:
        described |= {"device": str(model.device), "dtype": str(model.dtype), "family": model.architecture.family}
        described["weights"] = fingerprint(model)
    return described


def fingerprint(model: Any) -> str:
    """Return a hash of a few rows of the weights, which differs between any two trainings."""
    import torch

    network = model.network
    rows = (network.model.norm.weight, network.lm_head.weight[:2], network.model.layers[0].self_attn.q_proj.weight[:2])
    digest = hashlib.sha256()
    for tensor in rows:
        digest.update(tensor.detach().contiguous().view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Return the commit of the checkout that dllmkit runs from, marked if it has changes; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(folder)]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=5)
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("-dirty" if dirty.stdout.strip() else "")
