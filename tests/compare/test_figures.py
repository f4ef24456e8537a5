"""Figures of recipes beside one another: fronts, tests, keys."""

from __future__ import annotations

import pytest
from contests import comparison
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.compare.front import front
from dllmkit.compare.keys import ABSENT, differing_keys
from dllmkit.compare.pairs import holm, paired
from dllmkit.evaluation.problem import Problem

coordinate = st.integers(0, 4) | st.none()


@given(st.lists(st.tuples(coordinate, coordinate), max_size=8))
def test_the_front_is_what_nothing_beats(points):
    measured = [p for p in points if None not in p]
    for point, on in zip(points, front(points), strict=True):
        beaten = None in point or any(
            all(b >= a for a, b in zip(point, other, strict=True)) and other != point for other in measured
        )
        assert on == (not beaten)


def test_equals_are_on_the_front_together():
    assert front([(1, 1), (1, 1), (0, 1)]) == [True, True, False]


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_by_its_definition(values):
    order = sorted(values)
    for value, adjusted in zip(values, holm(values), strict=True):
        smaller = [i for i, other in enumerate(order) if other <= value]
        steps = [min(1.0, (len(values) - i) * order[i]) for i in smaller]
        assert adjusted == pytest.approx(max(steps))


def test_holm_example():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_paired_counts():
    (row,) = paired([True, True, True, False, False], [[True, False, False, True, False]])
    assert (row.n, row.both, row.only_reference, row.only_this, row.neither) == (5, 1, 2, 1, 1)
    assert row.difference == pytest.approx(-0.2)
    assert row.p == row.p_holm == 1.0


def test_keys_that_differ():
    first = {"decode": {"a": 1, "rules": [{"name": "eos"}], "selector": {"name": "x", "tau": 0.5}}}
    second = {"decode": {"a": 1, "rules": [], "selector": {"name": "y"}}}
    assert differing_keys([first, second]) == {
        "decode.rules": [[{"name": "eos"}], []],
        "decode.selector.name": ["x", "y"],
        "decode.selector.tau": [0.5, ABSENT],
    }
    assert differing_keys([first, first]) == {}


def test_the_document():
    problems = [
        Problem("a", "Say ab", "ab", "two"),
        Problem("b", "Say c", "c", "one"),
        Problem("c", "Say d", "d", "one"),
    ]
    held = comparison({"ours": ["ab", "c", "x"], "theirs": ["ab", "y", "d"]}, problems, nfe=[6, 2])
    first, second = held["contenders"]
    assert first["accuracy"]["right"] == second["accuracy"]["right"] == 2
    assert first["kinds"]["one"]["accuracy"] == 0.5
    assert second["kinds"]["two"] == second["kinds"]["two"] | {"right": 1, "problems": 1}
    assert first["metrics"]["nfe"] == 18
    assert second["ratios"] == {"nfe": 3, "query_tokens": 3, "attended": 3, "seconds": pytest.approx(2)}
    assert second["front"]["seconds"]
    assert not first["front"]["seconds"]  # as accurate, and slower
    assert second["paired"]["only_reference"] == second["paired"]["only_this"] == 1
    assert first["paired"] is None
    # tokens: of each problem its letters and an end; per forward 7 / 18, and 7 / 6
    best = 100 * 2 / 3
    assert first["aup"] == pytest.approx(7 / 18 * best)
    assert second["aup"] == pytest.approx(7 / 18 * best + (7 / 6 - 7 / 18) * best)
    assert held["differing_keys"] == {"decode.seed": [0, 1]}
    assert [p["answers"][0]["divergence"] for p in held["problems"]] == [None, None, None]
    assert held["problems"][1]["answers"][1]["divergence"]["in_text"]["texts"] == ["c", "y"]
    assert held["curve"] is None


def test_a_sweep_has_one_curve():
    problems = [Problem("a", "Say a", "a", "all")]
    held = comparison({"one": ["a"], "two": ["a"]}, problems, kind="sweep", nfe=[2, 1])
    assert [row["aup"] for row in held["contenders"]] == [None, None]
    assert held["curve"]["aup"] == pytest.approx(2 * 100)  # 2 tokens in 1 forward, always right
    assert held["curve"]["aup_answer"] == pytest.approx(100)


def test_less_parallel_than_the_reference_is_no_curve():
    held = comparison({"one": ["a"], "two": ["a"]}, [Problem("a", "Say a", "a", "all")], nfe=[1, 2])
    assert held["contenders"][1]["aup"] is None
