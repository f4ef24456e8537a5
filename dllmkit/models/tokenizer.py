"""The tokenizer of a checkpoint folder, read with transformers' own classes and never with code from the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dllmkit.errors import ModelError
from dllmkit.models.family import Architecture


def load_tokenizer(folder: Path, architecture: Architecture) -> Any:
    """Return a transformers tokenizer, or None where the folder has no tokenizer files.

    Reads `tokenizer.json`, or `vocab.json` and `merges.txt` with the class that the family names; added tokens and the
    chat template come from `tokenizer_config.json`. Raises ModelError for damaged files, and for token ids that are not
    those of the files or not in the model's vocabulary.
    """
    single, pair = (folder / "tokenizer.json").is_file(), [folder / "vocab.json", folder / "merges.txt"]
    if not single and not any(file.is_file() for file in pair):
        return None
    if not single and (architecture.tokenizer_class is None or not all(file.is_file() for file in pair)):
        raise ModelError(f"{folder} has an incomplete tokenizer: expected tokenizer.json, or vocab.json and merges.txt")
    settings = _settings(folder / "tokenizer_config.json")

    import transformers

    kind = getattr(transformers, architecture.tokenizer_class or "PreTrainedTokenizerFast")
    try:
        tokenizer = kind.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(f"the tokenizer in {folder} cannot be read: {' '.join(str(error).split())}") from None
    _check(folder, tokenizer, settings, architecture)
    return tokenizer


def _settings(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from None
    return settings if isinstance(settings, dict) else {}


def _check(folder: Path, tokenizer: Any, settings: dict[str, Any], architecture: Architecture) -> None:
    """Added tokens must have the ids that the folder states, or `[MASK]` would be another word."""
    for number, token in (settings.get("added_tokens_decoder") or {}).items():
        got = tokenizer.convert_tokens_to_ids(token["content"])
        if str(got) != number:
            raise ModelError(
                f"the tokenizer in {folder} reads {token['content']!r} as id {got}, its files say {number}"
            )
    rows = architecture.config.vocab_size
    if len(tokenizer) > rows:
        raise ModelError(f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model only {rows}")
