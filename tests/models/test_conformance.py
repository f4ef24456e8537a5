"""The conformance check: the two families pass it, broken ones are caught."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dllmkit.models.checkpoint import load_network, read_config
from dllmkit.models.dream import Dream
from dllmkit.models.family import Architecture, ModelFamily, SpecialTokens
from dllmkit.models.llada import Llada
from dllmkit.testing import strategies
from dllmkit.testing.checkpoints import built_in, random_checkpoint
from dllmkit.testing.conformance import Reference, alignment, check_family, class_logits

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"layers": 2, "width": 32, "heads": 4, "vocab": 64}


@pytest.mark.parametrize("name", [f"{family}-{seed}" for family in ("llada", "dream") for seed in (100, 101, 102)])
def test_golden_checkpoints_conform(name: str) -> None:
    findings = check_family(GOLDEN / name, built_in(name.split("-")[0]))
    assert all(finding.passed for finding in findings)
    assert [finding.name for finding in findings][-2:] == ["the engine's forward", "cached = full"]


@pytest.mark.parametrize("family", ["llada", "dream"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_random_checkpoints_conform(family: str, tied: bool, kv_heads: int, tmp_path: Path) -> None:
    folder = random_checkpoint(tmp_path, family, **SMALL, tied=tied, kv_heads=kv_heads, length=70)
    check_family(folder, built_in(family))


class Changed:
    """A family whose architecture is another's, with changes."""

    def __init__(self, base: ModelFamily, change: Callable[[Architecture], Architecture]) -> None:
        self.base, self.change, self.name = base, change, base.name

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return self.base.recognises(config)

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        return self.change(self.base.architecture(config))


def test_a_mask_that_ends_answers_is_caught() -> None:
    special = SpecialTokens(mask_id=126, eos_ids=(126,), pad_id=None)
    family = Changed(Llada(), lambda a: dataclasses.replace(a, special=special))
    with pytest.raises(AssertionError, match=r"family 'llada' on .*llada-100 fails\n  special tokens: "):
        check_family(GOLDEN / "llada-100", family)


def test_names_that_do_not_come_back_are_caught(tmp_path: Path) -> None:
    class Swapped:
        """Reads gate and up the right way round, writes them the wrong way."""

        def __init__(self, names: Any) -> None:
            self.names = names

        def __call__(self, name: str) -> str | None:
            return self.names(name)

        def published(self, name: str) -> str | None:
            other = {"gate_proj": "up_proj", "up_proj": "gate_proj"}
            return self.names.published(".".join(other.get(part, part) for part in name.split(".")))

    family = Changed(Llada(), lambda a: dataclasses.replace(a, rename=Swapped(a.rename)))
    with pytest.raises(
        AssertionError, match=r"save and load, 1 file\(s\): differ: \['model.layers.0.mlp.gate_proj.weight'"
    ):
        check_family(GOLDEN / "llada-100", family)


def reference(name: str, shift: int) -> Reference:
    """Dream's or LLaDA's own formulation, from the class with a full mask and the authors' shift of the logits."""
    family = built_in(name.split("-")[0])
    folder = GOLDEN / name
    network = load_network(folder, family.architecture(read_config(folder)), torch.device("cpu"), torch.float64)

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        rows = class_logits(network, tokens[0])[None]
        return torch.cat([rows[:, :1], rows[:, :-1]], dim=1) if shift else rows

    return logits


def test_the_shift_is_checked_against_the_published_formulation() -> None:
    check_family(GOLDEN / "dream-100", Dream(), reference=reference("dream-100", 1))
    check_family(GOLDEN / "llada-100", Llada(), reference=reference("llada-100", 0))
    wrong = Changed(Dream(), lambda a: dataclasses.replace(a, shift=0))
    with pytest.raises(AssertionError, match="published formulation: relative difference"):
        check_family(GOLDEN / "dream-100", wrong, reference=reference("dream-100", 1))


def counting(folder: Path) -> Path:
    """A Dream checkpoint that knows one text, 0 1 2 3 ...: the row of token t predicts t + 1, for the next position."""
    random_checkpoint(folder, "dream", layers=1, width=64, heads=1, vocab=64)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if "norm" not in name:
            tensor.zero_()
    tensors["model.embed_tokens.weight"].copy_(torch.eye(64))
    tensors["lm_head.weight"].copy_(20 * torch.eye(64).roll(1, dims=0))
    save_file(tensors, folder / "model.safetensors")
    return folder


@torch.inference_mode()
def test_a_checkpoint_that_knows_its_text_shows_its_shift(tmp_path: Path) -> None:
    architecture = Dream().architecture(read_config(counting(tmp_path)))
    network = load_network(tmp_path, architecture, torch.device("cpu"), torch.float64)
    generator, sample = torch.Generator().manual_seed(0), torch.arange(200) % 60
    right = alignment(network, architecture, sample, generator)
    wrong = alignment(network, dataclasses.replace(architecture, shift=0), sample, generator)
    assert right.passed
    assert not wrong.passed
    assert "declared 0; shift -1: " in wrong.detail


def test_attention_that_does_nothing_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="bidirectional attention: the first row moved by 0, the last by 0"):
        check_family(counting(tmp_path), Dream())


def test_logits_are_as_random_checkpoints_promise(tmp_path: Path) -> None:
    folder = random_checkpoint(tmp_path, "dream", spread=4.0)
    architecture = Dream().architecture(read_config(folder))
    network = load_network(folder, architecture, torch.device("cpu"), torch.float64)
    tokens = torch.randint(0, 126, (300,), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = class_logits(network, tokens)
    assert 3 < logits.std() < 5
    confidence = logits.softmax(-1).amax(-1)
    assert confidence.min() < 0.3
    assert confidence.max() > 0.9


def test_a_family_of_ones_own_needs_a_config(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a config"):
        random_checkpoint(tmp_path, Llada())
    config = read_config(GOLDEN / "llada-100")
    random_checkpoint(tmp_path, Llada(), config=config)
    assert read_config(tmp_path) == config


SPECIAL = SpecialTokens(mask_id=5, eos_ids=(6,), pad_id=None)


@given(strategies.batches(SPECIAL, 8, rows=3, most=9), strategies.blocks(most=20), st.data())
def test_strategies_keep_their_bounds(batch: list[list[int]], block: tuple[int, int], data: st.DataObject) -> None:
    assert 1 <= len(batch) <= 3
    assert all(1 <= len(prompt) <= 9 and set(prompt) <= set(range(8)) - {5} for prompt in batch)
    assert 1 <= block[1] <= block[0] <= 20
    assert 3 <= data.draw(strategies.gen_lengths(least=3, most=12)) <= 12
    assert set(data.draw(strategies.prompts(SPECIAL, 8, masks=True))) <= set(range(8))
