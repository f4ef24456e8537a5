"""What the weight files of a checkpoint folder hold, by their headers: safetensors only, one file or shards with an index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dllmkit.errors import ModelError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""The dtypes that weights may be stored in, by safetensors' names."""
_POINTER = b"version https://git-lfs"  # what a clone without Git LFS has instead of large files
_SHOWN = 4


class Stored(NamedTuple):
    """The header of one tensor in a file; `dtype` by safetensors' name."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


def headers(folder: Path) -> list[Stored]:
    """Read the headers of all weight files."""
    if (folder / SINGLE).is_file():
        files, listed = [folder / SINGLE], None
    elif (folder / INDEX).is_file():
        listed = _index(folder / INDEX)
        files = [folder / name for name in sorted(set(listed.values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelError(f"{folder} lacks {few(missing)} of the {len(files)} weight files that {INDEX} lists")
    else:
        raise ModelError(f"{folder} {_no_weights(folder)}")
    stored: list[Stored] = []
    for file in files:
        with opened_file(file) as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                header = opened.get_slice(name)
                stored.append(Stored(file, name, tuple(header.get_shape()), header.get_dtype()))
    if listed is not None:
        present = {(header.name, header.file.name) for header in stored}
        lost = [f"{name} ({file})" for name, file in listed.items() if (name, file) not in present]
        if lost:
            raise ModelError(f"{folder}: {INDEX} lists tensors that are not in their files: {few(lost)}")
    return stored


def _index(file: Path) -> dict[str, str]:
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))["weight_map"]
        if listed and all(Path(name).name == name for name in listed.values()):  # never outside the folder
            return dict(listed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ModelError(f"{file} is damaged: expected a JSON object with a weight_map of tensor to file name")


def _no_weights(folder: Path) -> str:
    loose = sorted(p.name for p in folder.glob("*.safetensors"))
    pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(pattern))
    if loose:
        return f"has {few(loose)} but neither {SINGLE} nor {INDEX}: the checkpoint is incomplete"
    if pickled:
        return (
            f"has its weights only as {few(pickled)}: dllmkit never opens pickles, which can run code; "
            "convert the checkpoint to safetensors"
        )
    return f"holds no weights: expected {SINGLE}, or {INDEX} and its shards"


@contextmanager
def opened_file(file: Path) -> Iterator[Any]:
    """Open a safetensors file for reading; ModelError, naming the file, where it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt", device="cpu") as opened:  # memory-mapped: nothing is read until it is used
            yield opened
    except (SafetensorError, OSError) as error:
        if _starts(file, _POINTER):
            raise ModelError(
                f"{file} is a Git LFS pointer, not the weights; run `git lfs pull` in its folder"
            ) from None
        size = f"{file.stat().st_size:,} bytes" if file.is_file() else "no file"
        raise ModelError(f"{file} is damaged or cut off ({size}; {error}); download it again") from None


def _starts(file: Path, prefix: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(prefix)) == prefix
    except OSError:
        return False


def few(names: Sequence[str]) -> str:
    """List the first few names, and count the rest."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
