"""The end-of-sequence rules: lossless, and as early as they say (spec P13)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from decoding import prompts
from hypothesis import given
from hypothesis import strategies as st
from policies import RandomQuery

from dllmkit.state import Request, Row
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.eos import Eos
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.threshold import Threshold

model_of = cache(toy_model)
END = 22


def until_end(tokens, ends):
    tokens = list(tokens)
    first = next((i for i, t in enumerate(tokens) if t in ends), None)
    return tokens if first is None else tokens[: first + 1]


@given(
    prompts(), st.integers(1, 40), st.integers(1, 40), st.sets(st.integers(0, 22), min_size=1, max_size=3), st.booleans(),
    st.integers(0, 3),
)  # fmt: skip
def test_the_text_before_the_end_is_the_same(asked, gen_length, block_length, ends, cached, seed):
    ends = tuple(sorted(ends))

    def rows(*rules):
        policy = toy_policy(
            block_scheduler=FixedBlocks(block_length), unmask_selector=Threshold(0.6), stop_rules=rules,
            **({"cache_policy": RandomQuery(seed)} if cached else {}),
        )  # fmt: skip
        return toy_decode(model_of(seed), asked, policy, gen_length=gen_length, batch_size=2)[0]

    plain, prefix, block = rows(), rows(Eos(token_ids=ends)), rows(Eos("block_end", token_ids=ends))
    for prompt, off, early, late in zip(asked, plain, prefix, block, strict=True):
        texts = [until_end(r.canvas[len(prompt) :], ends) for r in (off, early, late)]
        assert texts[0] == texts[1] == texts[2]
        assert early.nfe <= late.nfe <= off.nfe
        closed = texts[0][-1] in ends
        assert (early.stop_reason == "eos") == closed
        if closed:
            filled = early.canvas[len(prompt) + len(texts[0]) :]
            assert (filled == texts[0][-1]).all()


def at(prompt=(1, 2), gen_length=8, end=(END, 21), as_released=False, **commits):
    row = Row(Request(0, tuple(prompt), gen_length, 23, end, as_released=as_released))
    for position, token in commits.items():
        row.commit(np.array([int(position[1:])]), np.array([token]), np.array([0.5]))
    from dllmkit.state import Block

    row.block = Block(2, 6)
    return row


def test_an_end_behind_a_mask_does_not_count():
    row = at(p2=5, p4=END)
    watch = Eos().begin(row)
    assert watch(row) is None
    row.commit(np.array([3]), np.array([6]), np.array([0.5]))
    assert watch(row)[:2] == (5, END)


def test_an_end_in_the_prompt_does_not_count():
    row = at(prompt=(1, END), p2=5)
    assert Eos().begin(row)(row) is None


def test_confidence_bound():
    row = at(p2=END)
    assert Eos(min_confidence=0.6).begin(row)(row) is None
    assert Eos(min_confidence=0.5).begin(row)(row)[:2] == (3, END)


@pytest.mark.parametrize("as_released", [False, True])
def test_released_block_end_knows_only_the_models_own_token(as_released):
    row = at(as_released=as_released, p2=5, p3=21, p4=5, p5=5)
    stop = Eos("block_end").begin(row)(row)
    assert (stop is None) if as_released else (stop[:2] == (6, 21))
