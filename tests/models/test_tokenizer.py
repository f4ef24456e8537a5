"""Tokenizers as published: Dream's two files and custom class, LLaDA's single file; and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from dllmkit.errors import ModelError
from dllmkit.models.family import Architecture
from dllmkit.models.tokenizer import load_tokenizer
from dllmkit.testing.checkpoints import built_in, published_config

GOLDEN = Path(__file__).parents[1] / "golden"
MERGES = ["Ġ t", "h e", "Ġt he", "l l", "e ll", "1 2"]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCAB = {token: i for i, token in enumerate([*BYTES, *(m.replace(" ", "") for m in MERGES)])}
CHAT = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"


def architecture(family: str, vocab: int = 300) -> Architecture:
    sizes = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 1, "hidden": 8, "vocab": vocab, "length": 64}
    return built_in(family).architecture(published_config(family, sizes, tied=False, dtype="float32"))


def added(names: list[str], plain: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    kinds = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {str(len(VOCAB) + i): {"content": n, "special": n not in plain, **kinds} for i, n in enumerate(names)}


def write_dream(folder: Path) -> dict[str, Any]:
    """The files of Dream-v0-Instruct-7B on the hub, with a small vocabulary."""
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "<|beginoftext|>", "<|mask|>"]
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added(tokens, plain=("<tool_call>",)),
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<|beginoftext|>", "<|mask|>"],
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "bos_token": "<|beginoftext|>",
        "chat_template": CHAT,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "errors": "replace",
        "mask_token": "<|mask|>",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "DreamTokenizer",
        "unk_token": None,
    }
    (folder / "vocab.json").write_text(json.dumps(VOCAB, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "added_tokens.json").write_text(json.dumps({t: len(VOCAB) + i for i, t in enumerate(tokens)}))
    special = {
        k: settings[k] for k in ("additional_special_tokens", "bos_token", "eos_token", "mask_token", "pad_token")
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenization_dream.py").write_text("raise SystemExit('remote code was run')\n")
    return settings


def write_llada(folder: Path) -> None:
    """The files of LLaDA-8B-Instruct on the hub, with a small vocabulary."""
    names = ["<|startoftext|>", "<|endoftext|>", "[CLS]", "[gMASK]", "<|mdm_mask|>", "<role>", "<|eot_id|>"]
    inner = Tokenizer(models.BPE(vocab=VOCAB, merges=[tuple(m.split(" ")) for m in MERGES]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(names)
    inner.save(str(folder / "tokenizer.json"))
    settings = {
        "add_bos_token": False,
        "add_eos_token": False,
        "added_tokens_decoder": added(names),
        "additional_special_tokens": ["<role>"],
        "bos_token": "<|startoftext|>",
        "chat_template": "{{ bos_token }}{% for m in messages %}{{ m['content'] }}<|eot_id|>{% endfor %}",
        "clean_up_tokenization_spaces": False,
        "cls_token": "[CLS]",
        "eos_token": "<|endoftext|>",
        "fast_tokenizer": True,
        "gmask_token": "[gMASK]",
        "merges_file": None,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 1000000000000000019884624838656,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "trust_remote_code": True,
        "vocab_file": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def message(folder: Path, found: Architecture) -> str:
    with pytest.raises(ModelError) as raised:
        load_tokenizer(folder, found)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_no_files_no_tokenizer() -> None:
    for name in ("llada-100", "dream-100"):
        assert load_tokenizer(GOLDEN / name, architecture(name.split("-")[0])) is None


def test_dream_without_its_custom_code(tmp_path: Path) -> None:
    write_dream(tmp_path)
    tokenizer = load_tokenizer(tmp_path, architecture("dream"))
    n = len(VOCAB)
    assert tokenizer(" the<|mask|><|im_end|>")["input_ids"] == [VOCAB["Ġthe"], n + 5, n + 2]
    assert (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (n + 5, n, n + 4)
    assert tokenizer("12")["input_ids"] == [VOCAB["1"], VOCAB["2"]]  # Qwen2's rule: digits stay apart
    text = "naïve 日本 🤗\n  the tell"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode([n + 4, *ids, n + 3, n], skip_special_tokens=True) == text + "<tool_call>"
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>user\nhi<|im_end|>\n"


def test_llada(tmp_path: Path) -> None:
    write_llada(tmp_path)
    tokenizer = load_tokenizer(tmp_path, architecture("llada"))
    n = len(VOCAB)
    assert tokenizer("<|mdm_mask|> the<|eot_id|>")["input_ids"] == [n + 4, VOCAB["Ġthe"], n + 6]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (n, n + 1)
    assert (
        tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
        == "<|startoftext|>hi<|eot_id|>"
    )


def test_incomplete_files(tmp_path: Path) -> None:
    write_dream(tmp_path)
    (tmp_path / "merges.txt").unlink()
    expected = f"{tmp_path} has an incomplete tokenizer: expected tokenizer.json, or vocab.json and merges.txt"
    assert message(tmp_path, architecture("dream")) == expected


def test_damaged_files(tmp_path: Path) -> None:
    write_llada(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert f"the tokenizer in {tmp_path} cannot be read: " in message(tmp_path, architecture("llada"))
    (tmp_path / "tokenizer_config.json").write_text("{")
    assert f"{tmp_path}/tokenizer_config.json cannot be read as JSON" in message(tmp_path, architecture("llada"))


def test_ids_must_be_those_of_the_files(tmp_path: Path) -> None:
    settings = write_dream(tmp_path)
    tokens = settings["added_tokens_decoder"]
    tokens[str(len(VOCAB) + 9)] = tokens.pop(str(len(VOCAB) + 5))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "added_tokens.json").unlink()
    assert f"reads '<|mask|>' as id {len(VOCAB) + 5}, its files say {len(VOCAB) + 9}" in message(
        tmp_path, architecture("dream")
    )


def test_more_tokens_than_the_model_has(tmp_path: Path) -> None:
    write_dream(tmp_path)
    assert message(tmp_path, architecture("dream", vocab=100)) == (
        f"the tokenizer in {tmp_path} has {len(VOCAB) + 6} tokens, the model only 100"
    )
