"""Where problems come from, and what is said of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.task import Task, load_task
from dllmkit.tiny.problems import KINDS, evaluation_set


def written(folder: Path, *records: Any) -> str:
    path = folder / "task.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_tiny_is_the_evaluation_of_the_bundled_model() -> None:
    task = load_task("tiny", limit=10, seed=5)
    problems = evaluation_set(10, 5, KINDS)
    assert [(p.prompt, p.kind) for p in task.problems] == [(p.prompt, p.kind) for p in problems]
    assert all(task.matcher(made.answer, problem) for made, problem in zip(problems, task.problems, strict=True))
    assert not any(task.matcher("nonsense", problem) for problem in task.problems)
    assert len(load_task("tiny").problems) == 100


def test_the_digest_says_problems_and_matcher() -> None:
    digests = {
        load_task("tiny", limit=limit, seed=seed, matcher=matcher).digest
        for limit, seed, matcher in [(5, 0, None), (6, 0, None), (5, 1, None), (5, 0, "exact"), (5, 0, "number")]
    }
    assert len(digests) == 5
    assert load_task("tiny", limit=5).digest == load_task("tiny", limit=5).digest
    assert load_task("tiny:math", limit=5).kinds == ("math",)
    assert load_task("tiny:sort,math", limit=4).kinds == ("sort", "math")


def test_a_file(tmp_path: Path) -> None:
    file = written(
        tmp_path, {"prompt": "1+1?", "answer": 2, "matcher": "number"}, {"prompt": "x?", "answer": "y", "id": "q", "kind": "k"}
    )  # fmt: skip
    task = load_task(file)
    first, second = task.problems
    assert (first.id, first.kind, second.id, second.kind) == ("line 1", "all", "q", "k")
    assert task.matcher("it is 2", first)
    assert not task.matcher("it is y", second)
    (tmp_path / "one.jsonl").write_text('{"prompt": "a", "answer": "1", "matcher": "number"}\n\n')
    assert load_task(str(tmp_path / "one.jsonl")).matcher.name == "number"


def test_a_limit_draws_by_seed_and_keeps_the_order(tmp_path: Path) -> None:
    file = written(tmp_path, *({"prompt": f"p{i}", "answer": "a"} for i in range(30)))

    def chosen(limit: int, seed: int) -> list[int]:
        return [int(p.prompt[1:]) for p in load_task(file, limit=limit, seed=seed).problems]

    assert chosen(30, 3) == chosen(99, 3) == list(range(30))
    assert chosen(5, 1) == sorted(chosen(5, 1)) != chosen(5, 2)
    assert len(set(chosen(5, 1))) == 5


def test_a_matcher_replaces_the_one_of_the_task(tmp_path: Path) -> None:
    file = written(tmp_path, {"prompt": "p", "answer": "3", "matcher": "exact"})
    assert load_task(file, matcher="number").matcher.name == "number"
    mixed = written(tmp_path, {"prompt": "p", "answer": "3", "matcher": "number"}, {"prompt": "q", "answer": "3"})
    with pytest.raises(DllmkitError, match="problems name their own matchers"):
        load_task(mixed, matcher="number")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 is list, expected an object with prompt and answer"),
        ('{"prompt": "a"}', "line 1 has no key 'answer'; its keys: 'prompt'"),
        ('{"prompt": "a", "answer": 1, "anser": 2}', "unknown key 'anser': did you mean 'answer'?"),
        ('{"prompt": " ", "answer": 1}', "prompt = ' ', expected text that is not empty"),
        ('{"prompt": [1], "answer": 1}', "prompt = [1], expected text"),
        ('{"prompt": "a", "answer": 1, "id": 1.5}', "id = 1.5, expected text or a whole number"),
        ('{"prompt": "a", "answer": 1, "kind": 1}', "kind = 1, expected text"),
        ('{"prompt": "a", "answer": 1, "matcher": 1}', "matcher = 1, expected text"),
        ('{"prompt": "a", "answer": 1, "matcher": "exakt"}', "line 1: there is no matcher 'exakt': did you mean 'exact'?"),
        ("", "holds no problem"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "bad.jsonl").write_text(line + "\n")
    with pytest.raises(DllmkitError) as caught:
        load_task(str(tmp_path / "bad.jsonl"))
    assert said in str(caught.value)


def test_data_cannot_name_code(tmp_path: Path) -> None:
    file = written(tmp_path, {"prompt": "p", "answer": "a", "matcher": "os:system"})
    with pytest.raises(DllmkitError, match="matcher 'os:system' is a function, which only --matcher can name"):
        load_task(file)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tinny", "there is no task 'tinny': did you mean 'tiny'?"),
        ("tiny:maths", "task tiny has no kind 'maths': did you mean 'math'?"),
        ("gone.jsonl", "there is no task file gone.jsonl"),
        (".", ". cannot be read: Is a directory"),
        ("humaneval", "allow it with --execute-code"),
    ],
)
def test_bad_names(spec: str, said: str) -> None:
    with pytest.raises(DllmkitError) as caught:
        load_task(spec)
    assert said in str(caught.value)


def test_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(DllmkitError, match="is not UTF-8: byte 0xff in line 1"):
        load_task(str(tmp_path / "latin.jsonl"))
    with pytest.raises(DllmkitError, match="limit = 0, expected at least 1"):
        load_task("tiny", limit=0)
    twice = written(tmp_path, *[{"prompt": "p", "answer": "a", "id": "same"}] * 2)
    with pytest.raises(DllmkitError, match="two problems have the id 'same'"):
        load_task(twice)
    with pytest.raises(DllmkitError, match="has no problem"):
        Task.of("empty", [], load_task("tiny", limit=1).matcher)
