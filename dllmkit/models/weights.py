"""The weights of a checkpoint: safetensors files in the published layout, read into a transformers class and written back.

Everything is checked from the files' headers first; only then is memory taken, once per tensor. Pickles are never opened.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.errors import ModelError
from dllmkit.models.memory import free_bytes, human
from dllmkit.models.stored import FLOATS, INDEX, SINGLE, Stored, few, headers, opened_file

if TYPE_CHECKING:
    import torch

    from dllmkit.models.family import Architecture


def load_network(folder: Path, architecture: Architecture, device: torch.device, dtype: torch.dtype | None) -> Any:
    """Read the network of a checkpoint onto a device, in eval mode and without gradients.

    `dtype` None keeps the dtype that most of the checkpoint is stored in. Peak memory is the network plus one tensor.
    Raises ModelError, naming tensors and files, when the weights are missing, damaged or not those of the architecture,
    or do not fit into memory.
    """
    import torch

    stored = headers(folder)
    with torch.device("meta"):
        network: Any = architecture.model_class(copy.deepcopy(architecture.config))
    expected = _expected(network)
    found = _match(folder, stored, expected, architecture)
    if dtype is None:
        dtype = _main_dtype(stored)
    size = sum(t.numel() for t in expected.values()) * dtype.itemsize
    _check_memory(folder, size, dtype, device)
    try:
        for file, tensors in _by_file(found).items():
            with opened_file(file) as opened:
                for ours, header in tensors:
                    tensor = torch.empty(header.shape, dtype=dtype, device=device)
                    tensor.copy_(opened.get_tensor(header.name))
                    _place(network, ours, tensor)
    except (MemoryError, RuntimeError) as error:
        full = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not full and "allocate memory" not in str(error):  # what the allocator of CPUs says
            raise
        raise ModelError(_too_big(folder, size, dtype, device, free_bytes(device))) from None
    for tied, source in _tied(network).items():
        _place(network, tied, network.get_parameter(source))
    _make_buffers(network, device)
    network.eval()
    return network.requires_grad_(False)


def save_checkpoint(
    network: Any, architecture: Architecture, config: Mapping[str, Any], folder: Path, shards: int = 1
) -> None:
    """Write a network under the family's published tensor names, with `config` as its config.json.

    More than one shard writes the index file as on the hub. Raises ModelError for tensors without a published name.
    """
    from safetensors.torch import save_file

    tied = _tied(network)
    state = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items() if name not in tied}
    nameless = [name for name in state if architecture.rename.published(name) is None]
    if nameless:
        raise ModelError(f"family '{architecture.family}' has no published name for {few(nameless)}")
    tensors = {str(architecture.rename.published(name)): tensor for name, tensor in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if shards == 1:
        save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
        return
    names, where = sorted(tensors), {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = names[len(names) * i // shards : len(names) * (i + 1) // shards]
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        where.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _expected(network: Any) -> dict[str, Any]:
    tied = _tied(network)
    return {name: tensor for name, tensor in network.state_dict().items() if name not in tied}


def _tied(network: Any) -> dict[str, str]:
    if not network.config.tie_word_embeddings:
        return {}
    return dict(network._tied_weights_keys or {})


def _match(
    folder: Path, stored: Sequence[Stored], expected: Mapping[str, Any], architecture: Architecture
) -> dict[str, Stored]:
    """Pair the network's tensors with those stored; everything that does not fit goes into one ModelError."""
    found: dict[str, Stored] = {}
    extra, twice, shapes, dtypes = [], [], [], []
    for header in stored:
        ours = architecture.rename(header.name)
        if ours is None or ours not in expected:
            extra.append(header.name)
            continue
        if ours in found:
            twice.append(header.name)
        found[ours] = header
        if header.shape != tuple(expected[ours].shape):
            shapes.append(f"{header.name} is {list(header.shape)}, expected {list(expected[ours].shape)}")
        if header.dtype not in FLOATS:
            dtypes.append(f"{header.name} is {header.dtype}, expected {', '.join(FLOATS)}")
    missing = [architecture.rename.published(name) or name for name in expected if name not in found]
    kinds = {"missing": missing, "extra": extra, "stored twice": twice, "wrong shape": shapes, "wrong dtype": dtypes}
    problems = [f"{kind}: {few(names)}" for kind, names in kinds.items() if names]
    if problems:
        raise ModelError(
            f"the weights in {folder} are not those of the '{architecture.family}' model in its config.json; "
            + "; ".join(problems)
        )
    return found


def _main_dtype(stored: Sequence[Stored]) -> torch.dtype:
    import torch

    sizes: dict[str, int] = {}
    for header in stored:
        sizes[header.dtype] = sizes.get(header.dtype, 0) + math.prod(header.shape)
    dtype: torch.dtype = getattr(torch, FLOATS[max(sizes, key=lambda name: sizes[name])])
    return dtype


def _by_file(found: Mapping[str, Stored]) -> dict[Path, list[tuple[str, Stored]]]:
    files: dict[Path, list[tuple[str, Stored]]] = {}
    for ours, header in found.items():
        files.setdefault(header.file, []).append((ours, header))
    return files


def _place(network: Any, name: str, tensor: torch.Tensor) -> None:
    """Put a tensor where the network has one of that name (a parameter, or a buffer that checkpoints hold)."""
    import torch

    path, _, leaf = name.rpartition(".")
    module = network.get_submodule(path)
    if leaf in module._parameters:
        parameter = (
            tensor if isinstance(tensor, torch.nn.Parameter) else torch.nn.Parameter(tensor, requires_grad=False)
        )
        module._parameters[leaf] = parameter
    else:
        module._buffers[leaf] = tensor


def _make_buffers(network: Any, device: torch.device) -> None:
    """Compute again the buffers that no checkpoint holds (rotary frequencies), on the CPU so that all devices agree."""
    for path, module in list(network.named_modules()):
        empty = [name for name, buffer in module._buffers.items() if buffer is not None and buffer.is_meta]
        if not empty:
            continue
        try:
            fresh = type(module)(module.config)
        except (AttributeError, TypeError):
            raise ModelError(
                f"{path} ({type(module).__name__}) has buffers that cannot be made again: {few(empty)}"
            ) from None
        for name in empty:
            module._buffers[name] = fresh._buffers[name].to(device)


def _check_memory(folder: Path, size: int, dtype: torch.dtype, device: torch.device) -> None:
    free = free_bytes(device)
    if free is not None and size > free:
        raise ModelError(_too_big(folder, size, dtype, device, free))


def _too_big(folder: Path, size: int, dtype: torch.dtype, device: torch.device, free: int | None) -> str:
    left = f", {human(free)} is free" if free is not None else ""
    kind = str(dtype).removeprefix("torch.")
    advice = "use another device" if dtype.itemsize <= 2 else "use another device, or runtime.dtype=bfloat16"
    return f"{folder} does not fit into memory: its weights take {human(size)} in {kind} on {device}{left}; {advice}"
