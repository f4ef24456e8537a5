"""The tokenizer: lossless on any text, numbers whole, sizes of answers as promised, and loadable from its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dllmkit.tiny import checkpoint_path
from dllmkit.tiny.problems import KINDS, make_problem
from dllmkit.tiny.tokenizer import ANSWER, EOS, MASK, build_tokenizer

TOKENIZER = build_tokenizer()


@given(st.text())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_text_comes_back(text: str) -> None:
    plain = text.encode("utf-8", "ignore").decode("utf-8")
    assert TOKENIZER.decode(TOKENIZER(plain)["input_ids"]) == plain


@pytest.mark.parametrize(
    "text", ["", " ", "\r\n\t 12 123 007 (5)", "Zoë has 12 kiwis.", "####5 #### 5", "中文 🙂 e\u0301"]
)
def test_awkward_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


def test_numbers_after_a_space_are_whole_and_digits_elsewhere_single() -> None:
    assert TOKENIZER.tokenize(" 12 + 7 = 19") == ["Ġ12", "Ġ+", "Ġ7", "Ġ=", "Ġ19"]
    assert TOKENIZER.tokenize("2024-02-29") == list("2024-02-29")
    assert TOKENIZER.tokenize(" 123") == ["Ġ", *"123"]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_have_20_to_200_tokens(kind: str) -> None:
    answers = [make_problem(kind, seed).answer for seed in range(1000)]
    lengths = [len(ids) for ids in TOKENIZER(answers)["input_ids"]]
    assert min(lengths) >= 20
    assert max(lengths) <= 200


def test_chat_template_puts_the_separator_before_the_canvas() -> None:
    messages = [{"role": "user", "content": "Sort up: 5, 3."}]
    assert (
        TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == f"Sort up: 5, 3.{ANSWER}"
    )


def test_saved_folder_loads_alike(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(tmp_path)
    assert (loaded.mask_token, loaded.eos_token) == (MASK, EOS)
    assert loaded.chat_template == TOKENIZER.chat_template
    for seed in range(20):
        prompt = make_problem("json", seed).prompt
        assert loaded(prompt)["input_ids"] == TOKENIZER(prompt)["input_ids"]


def test_the_bundled_tokenizer_is_the_one_that_is_built() -> None:
    """A changed word list or template would move token ids away from the shipped weights."""
    bundled: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(checkpoint_path())
    assert bundled.get_vocab() == TOKENIZER.get_vocab()
    assert bundled.chat_template == TOKENIZER.chat_template
