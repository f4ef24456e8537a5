"""Reading and writing weights: what is loaded, and what every kind of damage is called."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dllmkit.errors import ModelError
from dllmkit.models import memory, weights
from dllmkit.models.checkpoint import load_network, read_config, save_checkpoint
from dllmkit.models.family import Architecture
from dllmkit.testing.checkpoints import built_in, random_checkpoint

CPU = torch.device("cpu")
FAMILIES = ("llada", "dream")
SMALL = {"layers": 2, "width": 16, "heads": 2, "kv_heads": 1, "vocab": 32}


def make(folder: Path, family: str = "llada", **kwargs: Any) -> tuple[Path, Architecture]:
    random_checkpoint(folder, family, **{**SMALL, **kwargs})
    return folder, built_in(family).architecture(read_config(folder))


def message(folder: Path, architecture: Architecture) -> str:
    with pytest.raises(ModelError) as raised:
        load_network(folder, architecture, CPU, None)
    text = str(raised.value)
    assert "\n" not in text
    return text


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_arrives_under_its_name(family: str, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, family)
    network = load_network(folder, architecture, CPU, None)
    stored = load_file(folder / "model.safetensors")
    parameters = dict(network.named_parameters())
    assert len(parameters) == len(stored)
    for name, tensor in stored.items():
        ours = architecture.rename(name)
        assert ours is not None
        assert torch.equal(parameters[ours], tensor)
    assert not network.training
    assert not any(p.requires_grad for p in parameters.values())
    assert not any(t.is_meta for t in [*network.parameters(), *network.buffers()])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_is_converted_but_rotary_frequencies_stay(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, family)
    network = load_network(folder, architecture, CPU, dtype)
    assert {p.dtype for p in network.parameters()} == {dtype}
    frequencies = network.model.rotary_emb.inv_freq
    assert frequencies.dtype == torch.float32
    theta = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    assert torch.allclose(frequencies, theta)
    assert torch.equal(frequencies, network.model.rotary_emb.original_inv_freq)


def test_the_checkpoints_dtype_is_kept(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, dtype="bfloat16")
    assert {p.dtype for p in load_network(folder, architecture, CPU, None).parameters()} == {torch.bfloat16}
    edit(folder, lambda t: t.update({k: v.float() for k, v in t.items() if "norm" in k}))
    assert {p.dtype for p in load_network(folder, architecture, CPU, None).parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("family", FAMILIES)
def test_tied_embeddings_share_one_tensor(family: str, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, family, tied=True)
    network = load_network(folder, architecture, CPU, None)
    assert network.lm_head.weight is network.model.embed_tokens.weight
    stored = load_file(folder / "model.safetensors")
    assert architecture.rename.published("lm_head.weight") not in stored
    assert len(dict(network.named_parameters())) == len(stored)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_shards_and_round_trips_are_bit_exact(family: str, tied: bool, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path / "one", family, tied=tied, dtype="bfloat16")
    network = load_network(folder, architecture, CPU, None)
    for shards in (1, 2, 5):
        copy = tmp_path / str(shards)
        save_checkpoint(network, architecture, read_config(folder), copy, shards)
        assert len(list(copy.glob("*.safetensors"))) == shards
        again = load_network(copy, architecture, CPU, None).state_dict()
        assert all(torch.equal(tensor, again[name]) for name, tensor in network.state_dict().items())
        assert read_config(copy) == read_config(folder)


def test_equal_arguments_give_equal_files(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a")[0], make(tmp_path / "b")[0]
    other = make(tmp_path / "c", seed=1)[0]
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert (first / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_two_networks_of_one_architecture_are_independent(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    first, second = (load_network(folder, architecture, CPU, None) for _ in range(2))
    first.config._attn_implementation = "eager"
    assert second.config._attn_implementation != "eager"


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    edit(folder, lambda t: t.pop("model.transformer.blocks.1.q_proj.weight"))
    assert message(folder, architecture) == (
        f"the weights in {folder} are not those of the 'llada' model in its config.json; "
        "missing: model.transformer.blocks.1.q_proj.weight"
    )


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, "dream")
    edit(folder, lambda t: [t.pop(name) for name in list(t) if "layers.1" in name])
    assert message(folder, architecture).endswith("and 8 more")


def test_an_extra_tensor_is_named(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    edit(folder, lambda t: t.update({"model.transformer.wpe.weight": torch.zeros(3)}))
    assert message(folder, architecture).endswith("; extra: model.transformer.wpe.weight")


def test_a_layer_too_many_is_extra(tmp_path: Path) -> None:
    folder, _ = make(tmp_path)
    config = read_config(folder) | {"n_layers": 1}
    text = message(folder, built_in("llada").architecture(config))
    assert "extra: model.transformer.blocks.1.attn_norm.weight" in text
    assert "missing" not in text


def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    edit(folder, lambda t: t.update({"model.transformer.ln_f.weight": torch.zeros(17)}))
    assert message(folder, architecture).endswith("; wrong shape: model.transformer.ln_f.weight is [17], expected [16]")


def test_integers_are_not_weights(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    edit(folder, lambda t: t.update({"model.transformer.ln_f.weight": torch.zeros(16, dtype=torch.int8)}))
    assert "wrong dtype: model.transformer.ln_f.weight is I8, expected F64, F32, F16, BF16" in message(
        folder, architecture
    )


def test_all_problems_come_in_one_error(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, "dream")

    def change(t: dict[str, torch.Tensor]) -> None:
        del t["lm_head.weight"]
        t["model.norm.weight"] = torch.zeros(5)
        t["model.norm.bias"] = torch.zeros(5)

    edit(folder, change)
    text = message(folder, architecture)
    assert (
        "missing: lm_head.weight; extra: model.norm.bias; wrong shape: model.norm.weight is [5], expected [16]" in text
    )


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_cut_off_file_is_named(keep: int, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    text = message(folder, architecture)
    assert text.startswith(f"{file} is damaged or cut off ({file.stat().st_size:,} bytes; ")
    assert text.endswith("; download it again")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Architecture, bytes]:
    folder, architecture = make(tmp_path_factory.mktemp("victim"), layers=1)
    return folder, architecture, (folder / "model.safetensors").read_bytes()


@given(data=st.data())
def test_no_damage_raises_anything_else(victim: tuple[Path, Architecture, bytes], data: st.DataObject) -> None:
    folder, architecture, whole = victim
    header = 8 + int.from_bytes(whole[:8], "little")
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3), label="bytes changed")):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    (folder / "model.safetensors").write_bytes(bytes(content))
    with contextlib.suppress(ModelError):
        load_network(folder, architecture, CPU, None)


def test_garbage_is_named(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)
    assert "model.safetensors is damaged or cut off" in message(folder, architecture)


def test_a_clone_without_git_lfs_is_recognised(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    file = folder / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    assert message(folder, architecture) == (
        f"{file} is a Git LFS pointer, not the weights; run `git lfs pull` in its folder"
    )


def test_missing_shards_are_named(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, shards=4)
    (folder / "model-00002-of-00004.safetensors").unlink()
    assert message(folder, architecture) == (
        f"{folder} lacks model-00002-of-00004.safetensors of the 4 weight files that model.safetensors.index.json lists"
    )


def test_an_index_that_lies_is_named(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.transformer.wte.weight"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(content))
    assert "lists tensors that are not in their files: model.transformer.wte.weight" in message(folder, architecture)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b.safetensors"}}', '{"weight_map": {"a": 3}}'],
)
def test_a_damaged_index_is_named(content: str, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, shards=2)
    (folder / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json is damaged" in message(folder, architecture)


def test_shards_without_an_index_are_incomplete(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, shards=2)
    (folder / "model.safetensors.index.json").unlink()
    assert message(folder, architecture) == (
        f"{folder} has model-00001-of-00002.safetensors, model-00002-of-00002.safetensors but neither model.safetensors nor "
        "model.safetensors.index.json: the checkpoint is incomplete"
    )


def test_pickles_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, architecture = make(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("unpickled"))
    assert message(folder, architecture) == (
        f"{folder} has its weights only as pytorch_model.bin: dllmkit never opens pickles, which can run code; "
        "convert the checkpoint to safetensors"
    )


def test_no_weights_at_all(tmp_path: Path) -> None:
    folder, architecture = make(tmp_path)
    (folder / "model.safetensors").unlink()
    assert message(folder, architecture).endswith(
        "holds no weights: expected model.safetensors, or model.safetensors.index.json and its shards"
    )


def test_too_little_memory_is_said_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, architecture = make(tmp_path)
    monkeypatch.setattr(weights, "free_bytes", lambda device: 1 << 10)
    assert message(folder, architecture) == (
        f"{folder} does not fit into memory: its weights take 0.0 MiB in float32 on cpu, 0.0 MiB is free; "
        "use another device, or runtime.dtype=bfloat16"
    )


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_running_out_of_memory_is_one_line(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, architecture = make(tmp_path)
    empty = torch.empty

    def full(*args: Any, **kwargs: Any) -> torch.Tensor:
        if kwargs.get("device") == CPU:
            raise error
        return empty(*args, **kwargs)

    monkeypatch.setattr(torch, "empty", full)
    assert "does not fit into memory: its weights take" in message(folder, architecture)


def test_free_memory_is_known_on_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.free_bytes(CPU)
    assert free is None or free > 1 << 20
    for name, content in (("max", "1000"), ("current", "900"), ("stat", "anon 5\ninactive_file 300\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_bytes(CPU) == 400
    (tmp_path / "memory.max").write_text("max")
    assert memory.free_bytes(CPU) != 400
    assert memory.human(3 << 20) == "3.0 MiB"
    assert memory.human(16_031_162_368) == "14.9 GiB"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", FAMILIES)
def test_onto_a_gpu(family: str, tmp_path: Path) -> None:
    folder, architecture = make(tmp_path, family)
    device = torch.device("cuda:0")
    there, here = (load_network(folder, architecture, d, torch.bfloat16) for d in (device, CPU))
    for name, tensor in [*there.named_parameters(), *there.named_buffers()]:
        assert tensor.device == device
        same = dict([*here.named_parameters(), *here.named_buffers()])[name]
        assert torch.equal(tensor.cpu(), same)
    free = memory.free_bytes(device)
    assert free is not None
    assert free > 1 << 20
