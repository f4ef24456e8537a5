"""The tokenizer: frequent words and the numbers 0..99 as whole tokens, single bytes for everything else, so it loses nothing.

Byte-level BPE without a single merge: a piece of the pre-tokenizer is one token if the vocabulary has it and falls apart
into bytes if not. Numbers written after a space are whole tokens (sums become facts about two tokens, with no carries);
digits in any other place, as in 2024-02-29, stay single.
"""

from __future__ import annotations

from collections import Counter

import tokenizers
from tokenizers import decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .problems import KINDS, make_problem
from .vocabulary import RARE_NAMES, RARE_THINGS, SPELL_WORDS

MASK = "[MASK]"
EOS = "<|endoftext|>"
PAD = "<|padding|>"
ANSWER = "<|answer|>"
SPECIALS = (MASK, EOS, PAD, ANSWER)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}<|endoftext|>{% else %}<|answer|>{% endif %}{% endfor %}"
)
"""The prompt's text, then one token that says 'the canvas begins here'."""

_PIECES = r"####| \d{1,2}(?!\d)|\d| ?\p{L}+| ?[^\s\p{L}\p{N}]|\s|."


def build_tokenizer(vocab_size: int = 704) -> PreTrainedTokenizerFast:
    """Tokenizer with exactly `vocab_size` tokens: 256 bytes, the numbers, special tokens, and the most frequent pieces."""
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġ{n}" for n in range(100)), "####"]
    room = vocab_size - len(tokens) - len(SPECIALS)
    frequent = (piece for piece, _ in _count_pieces(splitter).most_common() if piece not in set(tokens))
    tokens += sorted(piece for piece, _ in zip(frequent, range(room), strict=False))
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[], ignore_merges=True)
    )
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        mask_token=MASK,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[ANSWER],
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _count_pieces(splitter: pre_tokenizers.PreTokenizer) -> Counter[str]:
    """How often each piece occurs in 1,500 problems per kind, without single letters, rare words and words to be spelled."""
    counts: Counter[str] = Counter()
    for kind in (*KINDS, "drill"):
        for seed in range(1500):
            problem = make_problem(kind, seed)
            for text in (problem.prompt, problem.answer):
                counts.update(piece for piece, _ in splitter.pre_tokenize_str(text))
    hidden = {
        *RARE_NAMES,
        *RARE_THINGS,
        *SPELL_WORDS,
        *(word[::-1] for word in SPELL_WORDS),
        *"bcdefghijklmnopqrstuvwxyz",
    }
    return Counter({p: n for p, n in sorted(counts.items()) if len(p) > 1 and n >= 8 and p.lstrip("Ġ") not in hidden})
