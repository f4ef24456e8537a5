"""Which answers are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.matchers import PerProblem, find_matcher, last_number
from dllmkit.evaluation.problem import Problem


def right(matcher: str, text: str, answer: Any) -> bool:
    return find_matcher(matcher)(text, Problem("p", "?", answer, "all"))


@pytest.mark.parametrize(
    ("matcher", "text", "answer", "verdict"),
    [
        ("exact", " yes\n", "yes", True),
        ("exact", "Yes", "yes", False),
        ("exact", "yes indeed", "yes", False),
        ("exact", "[1, 2]", [1, 2], True),
        ("number", "First 3, so the answer is 1,200.", "#### 1200", True),
        ("number", "1200.0 apples", 1200, True),
        ("number", "12 of 34", 12, False),
        ("number", "-7", 7, False),
        ("number", "none", 7, False),
        ("number", "about .5", "0.50", True),
        ("regex:#### (-?\\d+)", "#### 3\n#### 4", "4", True),
        ("regex:#### (-?\\d+)", "#### 3\n#### 4", 3, False),
        ("regex:^[ab]+$", "x\nabba", "abba", True),
        ("regex:done", "all done", True, True),
        ("regex:done", "never", True, False),
        ("json", '{"b": [1.0, true], "a": null}', {"a": None, "b": [1, True]}, True),
        ("json", "[1]", [True], False),
        ("json", '{"a": 1} and more', {"a": 1}, False),
        ("json", "not JSON", "not JSON", False),
        ("json", "[" * 100_000, [], False),
    ],
)
def test_verdicts(matcher: str, text: str, answer: Any, verdict: bool) -> None:
    assert right(matcher, text, answer) is verdict


def test_names_are_spellings() -> None:
    for spec in ("exact", "number", "json", "regex:a(b)", "dllmkit.evaluation.matchers:last_number"):
        assert find_matcher(spec).name == spec


def test_last_number_in_long_text_takes_no_time() -> None:
    assert last_number("1," * 50_000 + "x") == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("exat", "there is no matcher 'exat': did you mean 'exact'?"),
        ("regex:(", "matcher 'regex:(': not a regular expression"),
        ("regex:", "has no pattern"),
        ("no_such_module:f", "matcher no_such_module:f cannot be imported: ModuleNotFoundError"),
        ("json:no_such_function", "matcher json:no_such_function cannot be imported: AttributeError"),
        ("math:pi", "matcher math:pi is float, expected a function"),
    ],
)
def test_bad_spellings(spec: str, said: str) -> None:
    with pytest.raises(DllmkitError) as caught:
        find_matcher(spec)
    assert said in str(caught.value)


def test_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judges.py").write_text(
        "def longer(text, problem):\n    return len(text) > problem.answer\n"
        "def sloppy(text, problem):\n    return 1\n"
        "def broken(text, problem):\n    return text[99]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert right("judges:longer", "abcd", 3)
    assert not right("judges:longer", "abc", 3)
    with pytest.raises(DllmkitError, match="returned 1 on problem p, expected true or false"):
        right("judges:sloppy", "", 0)
    with pytest.raises(DllmkitError, match="judges:broken failed on problem p: IndexError"):
        right("judges:broken", "", 0)


def test_a_number_task_without_numbers_is_a_mistake() -> None:
    with pytest.raises(DllmkitError, match="problem p: matcher number found no number in its answer 'none'"):
        right("number", "3", "none")


def test_matchers_of_single_problems() -> None:
    matcher = PerProblem(find_matcher("exact"), (("b", find_matcher("number")),))
    assert matcher.name.startswith("exact; number for 1; ")
    assert matcher.name != PerProblem(find_matcher("exact"), (("a", find_matcher("number")),)).name
    assert not matcher("so 3", Problem("a", "?", "3", "all"))
    assert matcher("so 3", Problem("b", "?", "3", "all"))
