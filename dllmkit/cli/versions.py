"""Versions of dllmkit and of what it stands on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "torch", "transformers", "numpy", "safetensors", "huggingface-hub", "tokenizers", "omegaconf", "pluggy", "einops",
    "typer", "rich",
)  # fmt: skip


def own_version() -> str:
    """The installed version, or a word for a checkout that is not installed."""
    return version_of("dllmkit") or "(a checkout that is not installed)"


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, None if there is none; nothing is imported."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
