"""Where two decodes part."""

from __future__ import annotations

from contests import result
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.compare.divergence import diverge

decodes = st.text("ab", min_size=1, max_size=6).flatmap(
    lambda text: st.builds(result, st.just(text), st.permutations(range(len(text) + 1)), length=st.just(9))
)


def test_the_same_decode():
    found = diverge(result("abc"), result("abc"))
    assert (found.step, found.in_text, found.in_time) == (None, None, None)


def test_another_order_of_the_same_text():
    found = diverge(result("abc", [0, 1, 2, 3]), result("abc", [0, 2, 1, 3]))
    assert (found.step, found.in_text) == (1, None)


def test_text_and_time():
    found = diverge(result("abcd", [0, 1, 2, 3, 4]), result("axcy", [1, 1, 0, 0, 1]))
    assert found.step == 0
    assert (found.in_text.position, found.in_text.steps) == (1, (1, 1))
    assert found.in_text.tokens == (ord("b"), ord("x"))
    assert (found.in_time.position, found.in_time.steps) == (3, (3, 0))


def test_an_answer_that_ends_earlier():
    found = diverge(result("ab", length=6), result("abc", length=6))
    assert found.in_text.position == 2
    assert found.in_text.tokens == (1, ord("c"))


def test_padding_is_no_answer():
    first, second = result("ab", [0, 1, 2], length=6), result("ab", [0, 1, 2], length=6)
    second.tokens[-1] = 7
    assert diverge(first, second).in_text is None


def test_what_a_stop_rule_filled_in_comes_last_in_time():
    found = diverge(result("abc", [0, 0, 0, 0]), result("axy", [0, -1, 5, 0]))
    assert found.in_text.position == 1
    assert found.in_time.position == 2
    assert found.in_text.confidence == (0.5, None)


@given(decodes, decodes)
def test_before_it_nothing_differs(first, second):
    found = diverge(first, second)
    swapped = diverge(second, first)
    assert found.step == swapped.step
    for step in range(found.step if found.step is not None else 99):
        commits = [
            {(p, t) for p, (s, t) in enumerate(zip(one.commit_step, one.generation, strict=True)) if s == step}
            for one in (first, second)
        ]
        assert commits[0] == commits[1]
    assert (found.in_text is None) == (first.text == second.text)
    if found.in_text is not None:
        assert first.generation[: found.in_text.position] == second.generation[: found.in_text.position]
        assert swapped.in_text.position == found.in_text.position
        assert found.in_time.steps[1] <= found.in_text.steps[1]
