"""The generator: deterministic, checkable, of natural length, and split so that evaluation meets no training prompt."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from dllmkit.tiny.batches import SHARES
from dllmkit.tiny.problems import EVAL_SEEDS, KINDS, check, evaluation_set, held_out, make_problem, training_stream

ALL = (*KINDS, "drill", "quote", "turn")


@pytest.mark.parametrize("kind", ALL)
def test_same_seed_same_problem(kind: str) -> None:
    assert [make_problem(kind, seed) for seed in range(50)] == [make_problem(kind, seed) for seed in range(50)]
    assert len({make_problem(kind, seed).prompt for seed in range(50)}) > 25


@pytest.mark.parametrize("kind", ALL)
def test_every_answer_passes_its_own_check(kind: str) -> None:
    for seed in range(1000):
        problem = make_problem(kind, seed)
        assert check(problem, problem.answer), problem


@pytest.mark.parametrize("kind", ALL)
def test_wrong_answers_fail(kind: str) -> None:
    rng = Random(kind)
    for seed in range(200):
        problem, other = make_problem(kind, seed), make_problem(kind, 10_000 + seed)
        assert not check(problem, "")
        assert not check(problem, problem.answer[:-1])
        if other.final != problem.final:
            assert not check(problem, other.answer)
        *lines, last = problem.answer.split("\n")
        digits = [i for i, letter in enumerate(last) if letter.isdigit()]
        if digits:
            at = rng.choice(digits)
            wrong = last[:at] + str((int(last[at]) + 1) % 10) + last[at + 1 :]
            assert not check(problem, "\n".join([*lines, wrong]))


def test_word_problems_are_worked_correctly() -> None:
    for seed in range(1000):
        problem = make_problem("math", seed)
        steps = [line.split(" ", 1)[1].rstrip(".") for line in problem.answer.splitlines() if " = " in line]
        assert 2 <= len(steps) <= 3
        for step in steps:
            left, _, right = step.partition(" = ")
            assert eval(left) == int(right)
            assert 0 <= int(right) <= 99
        assert steps[-1].endswith(f"= {problem.final}")
        assert problem.answer.endswith(f"#### {problem.final}")


def test_training_and_evaluation_share_no_prompt() -> None:
    trained = {problem.prompt for problem in itertools.islice(training_stream(0, SHARES), 5000)}
    assert not any(held_out(prompt) for prompt in trained)
    fresh = evaluation_set(300, seed=1)
    assert all(held_out(problem.prompt) for problem in fresh)
    assert not trained & {problem.prompt for problem in fresh}
    assert EVAL_SEEDS > 1 << 32


def test_evaluation_set_is_balanced_distinct_and_seeded() -> None:
    problems = evaluation_set(100, seed=3)
    assert problems == evaluation_set(100, seed=3)
    assert len({problem.prompt for problem in problems}) == 100
    assert {kind: sum(p.kind == kind for p in problems) for kind in KINDS} == dict.fromkeys(KINDS, 20)
    assert len({p.prompt for p in problems} & {p.prompt for p in evaluation_set(100, seed=4)}) < 10
