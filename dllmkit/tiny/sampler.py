"""A minimal batched decoder for looking at accuracy while training; figures that count come from `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .problems import Problem, check
from .tokenizer import ANSWER


@torch.no_grad()
def decode(
    logits: Callable[[Tensor], Tensor],
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    canvas: int,
    block: int = 32,
) -> list[str]:
    """Greedy low-confidence unmasking, one token per step in the leftmost open block; rows of one prompt length share a batch.

    `logits` maps tokens int64 (batch, length) to float32 (batch, length, vocab). A row is done when no mask is left
    before its first EOS.
    """
    separator = tokenizer.convert_tokens_to_ids(ANSWER)
    encoded = [[*ids, separator] for ids in tokenizer(list(prompts))["input_ids"]]
    texts = [""] * len(prompts)
    for size in sorted({len(ids) for ids in encoded}):
        index = [i for i, ids in enumerate(encoded) if len(ids) == size]
        tokens = torch.full((len(index), size + canvas), int(tokenizer.mask_token_id))
        tokens[:, :size] = torch.tensor([encoded[i] for i in index])
        while index:
            masked = tokens == tokenizer.mask_token_id
            first = masked.int().argmax(1)
            end = size + ((first - size) // block + 1) * block
            score, best = logits(tokens).log_softmax(-1).max(-1)
            open_ = masked & (torch.arange(size + canvas) < end[:, None])
            at = score.masked_fill(~open_, -torch.inf).argmax(1, keepdim=True)
            tokens.scatter_(1, at, best.gather(1, at))
            masked.scatter_(1, at, False)
            ended = ((tokens == tokenizer.eos_token_id) & (masked.cumsum(1) == 0))[:, size:].any(1)
            done = ended | ~masked.any(1)
            for row in done.nonzero().flatten().tolist():
                answer = tokens[row, size:].tolist()
                answer = answer[: answer.index(tokenizer.eos_token_id)] if ended[row] else answer
                texts[index[row]] = str(tokenizer.decode(answer))
            index = [i for i, finished in zip(index, done.tolist(), strict=True) if not finished]
            tokens = tokens[~done]
    return texts


def accuracy(
    logits: Callable[[Tensor], Tensor],
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    canvas: int = 128,
) -> dict[str, tuple[int, int]]:
    """Right answers and problems, by kind."""
    texts = decode(logits, tokenizer, [problem.prompt for problem in problems], canvas)
    table: dict[str, tuple[int, int]] = {}
    for problem, text in zip(problems, texts, strict=True):
        right, total = table.get(problem.kind, (0, 0))
        table[problem.kind] = (right + check(problem, text), total + 1)
    return table
