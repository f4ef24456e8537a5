"""What a recipe can say: the sections, their keys, types, defaults and ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.parameters import param

if TYPE_CHECKING:
    from dllmkit.slots import BlockScheduler, CachePolicy, ContextWindow, StopRule, UnmaskSelector


@dataclass(frozen=True)
class ModelSettings:
    """Which checkpoint decodes."""

    path: str = param("dllmkit/tiny", "the bundled model, a hub id or a folder")
    revision: str | None = param(None, "branch, tag or commit on the hub")


@dataclass(frozen=True)
class DecodeOptions:
    """The keys of `decode` that are plain values."""

    gen_length: int = param(128, "positions to generate", ge=1)
    as_released: bool = param(False, "reproduce the authors' released code, its bugs included")
    temperature: float = param(0.0, "0 takes the most likely token", ge=0)
    top_p: float | None = param(None, "sample from the smallest set of tokens with this probability", gt=0, le=1)
    top_k: int | None = param(None, "sample from this many tokens", ge=1)
    sampler: str = param("auto", "how a token is drawn", choices=("auto", "gumbel", "categorical"))
    confidence_dtype: str = param(
        "auto", "precision of confidences; logits: the model's", choices=("auto", "float32", "float64", "logits")
    )
    seed: int = param(0, "seed of all random numbers")


@dataclass(frozen=True, kw_only=True)
class DecodeSettings(DecodeOptions):
    """The section `decode`, with its components built."""

    block_scheduler: BlockScheduler
    context_window: ContextWindow
    cache_policy: CachePolicy
    unmask_selector: UnmaskSelector
    stop_rules: tuple[StopRule, ...] = ()


def _device_problem(device: str) -> str | None:
    return None if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) else "expected auto, cpu, cuda or cuda:N"


@dataclass(frozen=True)
class RuntimeSettings:
    """Where and how the model runs; nothing here changes what is decoded, rounding apart."""

    device: str = param("auto", "auto, cpu, cuda or cuda:N", check=_device_problem)
    dtype: str = param("auto", "precision of the model", choices=("auto", "float64", "float32", "bfloat16", "float16"))
    compile: str = param(
        "none", "torch.compile mode; reduce-overhead: CUDA graphs", choices=("none", "default", "reduce-overhead")
    )
    batch_size: int = param(1, "sequences decoded together", ge=1)
    threads: int | None = param(None, "CPU threads; null leaves torch's choice", ge=1)


@dataclass(frozen=True)
class PromptSettings:
    """What is decoded when no prompt is given, and how prompts are presented to the model."""

    chat: bool = param(False, "apply the tokenizer's chat template")
    samples: tuple[str, ...] = param((), "prompts to decode when none is given")


@dataclass(frozen=True)
class PublishedFigures:
    """What the authors report for the run that a recipe repeats; no setting, so it is not part of the recipe's hash."""

    source: str = param(doc="paper, and the cell of its table")
    harness: str = param(doc="task, number of shots, and how prompts were presented")
    device: str = param(doc="what it was measured on")
    accuracy: float | None = param(None, "percent", ge=0, le=100)
    tps: float | None = param(None, "tokens per second, as the authors count", gt=0)
    speedup: float | None = param(None, "over the authors' vanilla decoding", gt=0)
    vanilla_accuracy: float | None = param(None, "percent, of the authors' vanilla decoding", ge=0, le=100)
    vanilla_tps: float | None = param(None, "tokens per second of the authors' vanilla decoding", gt=0)
    note: str | None = param(None, "what a reader must know to compare")


PUBLISHED = "published"
"""The key of a recipe file that holds `PublishedFigures`; a recipe that extends the file is another run, and has its own."""

SECTIONS: dict[str, type] = {
    "model": ModelSettings,
    "decode": DecodeOptions,
    "runtime": RuntimeSettings,
    "prompts": PromptSettings,
}
"""The sections of a recipe; `decode` also has the components."""

DEFAULT_COMPONENTS = {
    "block_scheduler": "fixed_blocks",
    "context_window": "full",
    "cache_policy": "none",
    "unmask_selector": "threshold",
}
"""The slots that hold exactly one component, and the one that a recipe gets without asking."""

STOP_RULES = "stop_rules"
"""The key of `decode` that holds a list of components of slot `stop_rule`."""
