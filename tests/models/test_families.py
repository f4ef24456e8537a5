"""The two families: what they make of a config.json, and what they refuse."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from dllmkit.errors import ModelError
from dllmkit.models.checkpoint import read_config, recognise
from dllmkit.models.dream import Dream
from dllmkit.models.family import ModelFamily
from dllmkit.models.llada import NAMES, Llada
from dllmkit.models.names import TensorNames
from dllmkit.testing.checkpoints import built_in, published_config

GOLDEN = Path(__file__).parents[1] / "golden"
SIZES = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "hidden": 24, "vocab": 40, "length": 64}
LLADA_8B = published_config(
    "llada",
    {"layers": 32, "width": 4096, "heads": 32, "kv_heads": 32, "hidden": 12288, "vocab": 126464, "length": 4096},
    tied=False,
    dtype="bfloat16",
) | {"mask_token_id": 126336, "eos_token_id": 126081, "pad_token_id": 126081, "rope_theta": 500000.0}
DREAM_7B = published_config(
    "dream",
    {"layers": 28, "width": 3584, "heads": 28, "kv_heads": 4, "hidden": 18944, "vocab": 152064, "length": 131072},
    tied=False,
    dtype="bfloat16",
) | {"mask_token_id": 151666, "eos_token_id": 151643, "pad_token_id": 151643, "rope_theta": 1e6, "rms_norm_eps": 1e-6}


def test_llada_as_published() -> None:
    found = recognise(LLADA_8B, [Llada(), Dream()])
    assert (found.family, found.model_class.__name__, found.shift) == ("llada", "LlamaForCausalLM", 0)
    assert (found.sampler, found.released_confidence, found.rotary) == ("gumbel", "float64", "float32")
    assert (found.special.mask_id, found.special.eos_ids, found.special.pad_id) == (126336, (126081, 126348), 126081)
    assert found.max_length == 4096
    assert found.tokenizer_class is None
    config = found.config
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (4096, 12288, 32)
    assert (config.num_key_value_heads, config.head_dim, config.vocab_size) == (32, 128, 126464)
    assert config.rope_parameters["rope_theta"] == 500000.0
    assert not config.attention_bias
    assert not config.mlp_bias
    assert not config.tie_word_embeddings


def test_dream_as_published() -> None:
    found = recognise(DREAM_7B, [Llada(), Dream()])
    assert (found.family, found.model_class.__name__, found.shift) == ("dream", "Qwen2ForCausalLM", 1)
    assert (found.sampler, found.released_confidence, found.rotary) == ("categorical", "logits", "model")
    assert (found.special.mask_id, found.special.eos_ids, found.special.pad_id) == (151666, (151643, 151645), 151643)
    assert found.max_length == 131072
    assert found.tokenizer_class == "Qwen2Tokenizer"
    assert found.config.rope_parameters["rope_theta"] == 1e6
    assert set(found.config.layer_types) == {"full_attention"}


@pytest.mark.parametrize(("name", "shift"), [("llada-100", 0), ("dream-100", 1)])
def test_golden_configs_are_recognised(name: str, shift: int) -> None:
    found = recognise(read_config(GOLDEN / name), [Llada(), Dream()])
    assert (found.shift, found.special.mask_id, found.special.eos_ids) == (shift, 126, (127,))


def test_ids_come_from_the_config_where_it_has_them() -> None:
    config = published_config("llada", SIZES, tied=True, dtype="float32") | {"eos_token_id": [7, 9], "mask_token_id": 3}
    found = Llada().architecture(config)
    assert found.special.eos_ids == (7, 9)
    assert found.special.mask_id == 3
    assert found.config.tie_word_embeddings


def test_embedding_size_counts_not_vocab_size() -> None:
    config = published_config("llada", SIZES, tied=False, dtype="float32") | {"vocab_size": 37}
    assert Llada().architecture(config).config.vocab_size == 40
    assert (
        Llada()
        .architecture(config | {"embedding_size": None, "mask_token_id": 3, "eos_token_id": 4, "pad_token_id": 4})
        .config.vocab_size
        == 37
    )


@pytest.mark.parametrize(
    ("family", "change", "expected"),
    [
        (Llada(), {"alibi": True}, "alibi = True (supported: False)"),
        (Llada(), {"rope": False}, "rope = False (supported: True)"),
        (Llada(), {"layer_norm_type": "default"}, "layer_norm_type = 'default' (supported: 'rms')"),
        (Llada(), {"activation_type": "swiglu"}, "activation_type = 'swiglu' (supported: 'silu')"),
        (Llada(), {"block_type": "sequential"}, "block_type = 'sequential' (supported: 'llama')"),
        (Llada(), {"multi_query_attention": True}, "multi_query_attention = True (supported: False)"),
        (Llada(), {"include_bias": True}, "include_bias = True (supported: False)"),
        (Llada(), {"scale_logits": True}, "scale_logits = True (supported: False)"),
        (Llada(), {"block_group_size": 2}, "block_group_size = 2 (supported: 1)"),
        (Llada(), {"d_model": 18}, "d_model = 18 is not a multiple of n_heads = 4"),
        (Llada(), {"n_kv_heads": 3}, "n_heads = 4 is not a multiple of n_kv_heads = 3"),
        (Llada(), {"n_layers": "many"}, "n_layers = 'many' (expected an integer)"),
        (Llada(), {"mask_token_id": 40}, "mask_token_id = 40 (expected an integer of at least 0 and less than 40)"),
        (Llada(), {"mask_token_id": None}, "mask_token_id = None (expected an integer)"),
        (
            Llada(),
            {"eos_token_id": [1, 99]},
            "eos_token_id = [1, 99] (expected a token id, or a list of them, from 0 to 39)",
        ),
        (Llada(), {"rms_norm_eps": -1}, "rms_norm_eps = -1 (expected a positive number)"),
        (Dream(), {"use_sliding_window": True}, "use_sliding_window = True (supported: False)"),
        (Dream(), {"rope_scaling": {"type": "yarn"}}, "rope_scaling = {'type': 'yarn'} (supported: absent)"),
        (Dream(), {"hidden_act": "gelu"}, "hidden_act = 'gelu' (supported: 'silu')"),
        (Dream(), {"tie_word_embeddings": "no"}, "tie_word_embeddings = 'no' (expected true or false)"),
        (Dream(), {"num_hidden_layers": 0}, "num_hidden_layers = 0 (expected an integer of at least 1)"),
    ],
)
def test_unsupported_fields_are_named(family: ModelFamily, change: dict[str, Any], expected: str) -> None:
    config = published_config(family.name, SIZES, tied=False, dtype="float32") | change
    with pytest.raises(ModelError) as raised:
        family.architecture(config)
    assert str(raised.value).startswith(f"config.json of a '{family.name}' checkpoint cannot be used: ")
    assert expected in str(raised.value)


def test_a_missing_field_is_named_and_all_problems_come_at_once() -> None:
    config = published_config("dream", SIZES, tied=False, dtype="float32")
    del config["rope_theta"], config["hidden_act"]
    with pytest.raises(ModelError) as raised:
        Dream().architecture(config)
    assert "rope_theta is missing (expected a positive number)" in str(raised.value)
    assert "hidden_act is missing (supported: 'silu')" in str(raised.value)


JSON = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)


@pytest.mark.parametrize("family", [Llada(), Dream()], ids=lambda family: family.name)
@given(data=st.data())
@settings(max_examples=200)
def test_no_config_raises_anything_else(family: ModelFamily, data: st.DataObject) -> None:
    config = published_config(family.name, SIZES, tied=False, dtype="float32")
    names = data.draw(st.lists(st.sampled_from(sorted(config)), max_size=3))
    config |= {name: data.draw(JSON, label=name) for name in names}
    with contextlib.suppress(ModelError):
        found = family.architecture(config)
        assert 0 <= found.special.mask_id < found.config.vocab_size


def test_unknown_checkpoints_name_what_was_seen() -> None:
    with pytest.raises(ModelError) as raised:
        recognise({"model_type": "mamba", "architectures": ["MambaForCausalLM"]}, [Llada(), Dream()])
    assert str(raised.value) == (
        "no model family recognises this checkpoint (model_type 'mamba', architectures ['MambaForCausalLM']); "
        "known families: 'dream', 'llada'"
    )


def test_two_families_that_claim_one_checkpoint_are_an_error() -> None:
    class Other(Llada):
        name = "other"

    with pytest.raises(ModelError, match=r"several model families claim this checkpoint .*'llada', 'other'"):
        recognise(LLADA_8B, [Llada(), Other()])


def test_published_tensor_names_go_both_ways() -> None:
    assert NAMES("model.transformer.blocks.31.ff_out.weight") == "model.layers.31.mlp.down_proj.weight"
    assert NAMES("model.transformer.ff_out.weight") == "lm_head.weight"
    assert NAMES("model.transformer.blocks.3.att_proj.weight") is None
    assert NAMES("model.transformer.blocks.x.q_proj.weight") is None
    with safe_open(GOLDEN / "llada-100" / "model.safetensors", framework="pt") as file:
        names = list(file.keys())
    assert len(names) == 5 * 9 + 3
    for name in names:
        ours = NAMES(name)
        assert ours is not None
        assert NAMES.published(ours) == name


@pytest.mark.parametrize(("config", "size"), [(LLADA_8B, 16_031_162_368), (DREAM_7B, 15_231_233_024)])
def test_sizes_are_those_of_the_hub(config: dict[str, Any], size: int) -> None:
    """`total_size` in the model.safetensors.index.json of LLaDA-8B and of Dream-7B, which are stored in bfloat16."""
    found = recognise(config, [Llada(), Dream()])
    with torch.device("meta"):
        network = found.model_class(found.config)
    assert 2 * sum(p.numel() for p in network.parameters()) == size


def test_a_name_table_must_be_one_to_one() -> None:
    with pytest.raises(ValueError, match="share one"):
        TensorNames({"a": "x", "b": "x"})


def test_built_in_families_by_name() -> None:
    assert isinstance(built_in("llada"), ModelFamily)
    with pytest.raises(ValueError, match="did you mean 'dream'"):
        built_in("draem")


def test_families_import_nothing_heavy() -> None:
    code = (
        "import sys, dllmkit.models.llada, dllmkit.models.dream, dllmkit.models.checkpoint, dllmkit.models.tokenizer; "
        "print([m for m in ('torch', 'transformers', 'safetensors', 'huggingface_hub', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
