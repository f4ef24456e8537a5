"""A small masked diffusion LM that works: problem generator, tokenizer, training, evaluation, and a bundled checkpoint.

Import the submodules by name; nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path


def checkpoint_path() -> Path:
    """Folder of the bundled checkpoint: config.json, model.safetensors, tokenizer, model card."""
    return Path(__file__).resolve().parent / "checkpoint"
