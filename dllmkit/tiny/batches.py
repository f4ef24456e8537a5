"""Batches of one length each: canvases are filled with EOS up to the length of their bucket, so nothing is padded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from random import Random

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .masking import WINDOW, Weights, mask_row
from .problems import training_stream
from .tokenizer import ANSWER
from .vocabulary import CITIES, COLORS, JOBS

BUCKETS = (48, 64, 80, 96, 128, 192, 320)
"""Row lengths in tokens, prompt included."""

SHARES = {"math": 0.34, "sort": 0.22, "json": 0.18, "spell": 0.08, "dates": 0.10, "drill": 0.06, "quote": 0.02}
"""Share of the rows by kind."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of one length; `rows` indexes the flattened batch at the positions that count in the loss."""

    tokens: Tensor  # int64 (batch, length), masked
    rows: Tensor  # int64 (counted,)
    targets: Tensor  # int64 (counted,)
    weights: Tensor  # float32 (counted,)
    kinds: list[str]  # (batch,)


def make_batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, token_budget: int = 4096, shares: dict[str, float] = SHARES
) -> Iterator[Batch]:
    """Endless batches of about `token_budget` tokens, deterministic from the seed."""
    rng, noise = Random(seed), np.random.default_rng(seed)
    separator = tokenizer.convert_tokens_to_ids(ANSWER)
    waiting: dict[int, list[tuple[str, str, list[int], int]]] = {length: [] for length in BUCKETS}
    stream = training_stream(seed, shares)
    while True:
        problems = [next(stream) for _ in range(64)]
        prompts = tokenizer([problem.prompt for problem in problems])["input_ids"]
        answers = tokenizer([problem.answer for problem in problems])["input_ids"]
        for problem, prompt, answer in zip(problems, prompts, answers, strict=True):
            ids = [*prompt, separator, *answer]
            length, way = _place(len(prompt) + 1, len(ids), rng)
            if length == 0:
                continue
            waiting[length].append((problem.kind, way, ids, len(prompt) + 1))
            if len(waiting[length]) * length >= token_budget:
                yield _collate(waiting[length], length, tokenizer, noise)
                waiting[length] = []


def _place(prompt: int, total: int, rng: Random) -> tuple[int, str]:
    """Bucket and way of masking for one row; bucket 0 when it fits nowhere."""
    draw = rng.random()
    cuts = [length for length in BUCKETS if prompt + WINDOW // 2 <= length <= total]
    if draw < 0.12 and cuts:
        return rng.choice(cuts), "cut"
    way = "uniform" if draw < 0.34 else "window" if draw < 0.62 else "ordered"
    room = [length for length in BUCKETS if length >= total + 1]
    # A canvas that always ended soon after the answer would tell the model where to stop.
    draw = rng.random()
    if draw < 0.45:
        room = room[:1]
    elif draw < 0.75:
        room = room[:3]
    elif draw < 0.85:
        room = [length for length in room if length >= 192]
    return (rng.choice(room) if room else 0), way


def _collate(
    entries: list[tuple[str, str, list[int], int]],
    length: int,
    tokenizer: PreTrainedTokenizerFast,
    noise: np.random.Generator,
) -> Batch:
    clean = np.full((len(entries), length), tokenizer.eos_token_id, dtype=np.int64)
    masked = np.zeros(clean.shape, dtype=bool)
    weight = np.zeros(clean.shape, dtype=np.float32)
    for i, (_, _, ids, _) in enumerate(entries):
        clean[i, : min(length, len(ids))] = ids[:length]
    facts = np.isin(clean, tokenizer.convert_tokens_to_ids([*(f"Ġ{n}" for n in range(100)), *CITIES, *COLORS, *JOBS]))
    for i, (_, way, ids, prompt) in enumerate(entries):
        masked[i], weight[i] = mask_row(way, prompt, len(ids) - prompt, facts[i], noise, Weights())
    # The heaviest third at most, so that the shapes stay fixed; what falls away is EOS padding and far suffix.
    count = clean.size // 3
    rows = np.argsort(-weight, axis=None, kind="stable")[:count]
    tokens = np.where(masked, tokenizer.mask_token_id, clean)
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(rows),
        torch.from_numpy(clean.reshape(-1)[rows]),
        torch.from_numpy(weight.reshape(-1)[rows]),
        [kind for kind, *_ in entries],
    )
