"""A model family: the adapter from a published `config.json` to a transformers class, and what decoding must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class SpecialTokens:
    """Token ids that decoding needs; `eos_ids` are all that end an answer, the model's own first."""

    mask_id: int
    eos_ids: tuple[int, ...]
    pad_id: int | None


class Rename(Protocol):
    """Tensor names of a family: called for published -> transformers, `published` is the way back."""

    def __call__(self, name: str) -> str | None:
        """Return the transformers name of a tensor in the checkpoint, or None if it is not one of this family's."""
        ...

    def published(self, name: str) -> str | None:
        """Return the name that the family publishes transformers' tensor `name` under."""
        ...


@dataclass(frozen=True)
class Architecture:
    """One checkpoint, as dllmkit sees it.

    `shift` is 0 where logits row i predicts position i, 1 where row i-1 does. `sampler` is how the authors draw a token at
    temperature > 0. `released_confidence` says what the authors' code computes confidences in: float64, or the dtype of
    the logits. `rotary` says what the authors rotate queries and keys in: float32, or the dtype of the model; in bfloat16
    the two differ by as much as bfloat16 itself does. `max_length` is the number of positions that the model was made for.
    `tokenizer_class` names the transformers class to read tokenizer files with, where the folder asks for custom code.
    """

    family: str
    config: PreTrainedConfig
    model_class: type
    rename: Rename
    special: SpecialTokens
    shift: int
    sampler: Literal["gumbel", "categorical"]
    released_confidence: Literal["float64", "logits"]
    max_length: int
    rotary: Literal["float32", "model"] = "model"
    tokenizer_class: str | None = None


@runtime_checkable
class ModelFamily(Protocol):
    """What hook `dllmkit_model_families` registers: usually a class without parameters, at most 80 lines."""

    @property
    def name(self) -> str:
        """The family's name, as in error messages and results."""
        ...

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Say from its `config.json` whether a checkpoint belongs to the family; never raises."""
        ...

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Map a recognised `config.json`; ModelError names every field that asks for something unsupported."""
        ...
