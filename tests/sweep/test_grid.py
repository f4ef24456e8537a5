"""Grids: which lists are values of the grid, and which are one value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllmkit.errors import DllmkitError
from dllmkit.recipe import load_recipe
from dllmkit.sweep.grid import Grid


def overrides(*texts: str) -> list[tuple[str, ...]]:
    return [point.overrides for point in Grid.parse(texts).points]


def test_the_last_key_varies_fastest() -> None:
    assert overrides("decode.a=[1,2]", "decode.b=[x,y]") == [
        ("decode.a=1", 'decode.b="x"'),
        ("decode.a=1", 'decode.b="y"'),
        ("decode.a=2", 'decode.b="x"'),
        ("decode.a=2", 'decode.b="y"'),
    ]


def test_what_is_no_list_is_the_same_at_every_point() -> None:
    assert overrides("decode.seed=3", "decode.a=[1,2]") == [
        ("decode.seed=3", "decode.a=1"),
        ("decode.seed=3", "decode.a=2"),
    ]


def test_a_list_as_a_value_is_a_list_in_the_list() -> None:
    recipes = [load_recipe("dawn+dsb", point) for point in overrides("decode.stop_rules=[[eos],[]]")]
    assert [len(recipe.decode.stop_rules) for recipe in recipes] == [1, 0]
    (one,) = Grid.parse(["prompts.samples=[[a, b]]"]).points
    assert load_recipe("baseline/tiny", one.overrides).prompts.samples == ("a", "b")


def test_components_as_values() -> None:
    grid = Grid.parse(["decode.unmask_selector=[{name: threshold, tau: 0.8}, quota]"])
    recipes = [load_recipe("baseline/tiny", point.overrides) for point in grid.points]
    assert [recipe.resolved["decode"]["unmask_selector"]["name"] for recipe in recipes] == ["threshold", "quota"]
    assert [grid.label(point) for point in grid.points] == [
        "unmask_selector=threshold(tau=0.8)",
        "unmask_selector=quota",
    ]


values = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(1e-9, 1e9) | st.sampled_from(["a", "1e-5", "null", ""])
)


@given(st.lists(values, min_size=1, max_size=4))
def test_values_are_read_back_as_they_were(held) -> None:
    import json

    from dllmkit.recipe.overrides import parse_overrides

    grid = Grid({"decode.x": held}, ())
    problems: list[str] = []
    for point, value in zip(grid.points, held, strict=True):
        (read,) = parse_overrides(point.overrides, problems)
        assert (read.value, type(read.value)) == (value, type(value)), json.dumps(value)
    assert not problems


def test_labels_are_short_where_keys_allow_it() -> None:
    grid = Grid.parse(["decode.block_scheduler.length=[1]", "decode.cache_policy.length=[2]", "decode.seed=[3]"])
    assert grid.label(grid.points[0]) == "decode.block_scheduler.length=1, decode.cache_policy.length=2, seed=3"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["decode.seed=3"], "nothing varies: give a list of values"),
        (["decode.seed=[]"], r"has no value; an empty list as a value is written decode.seed=\[\[\]\]"),
        (["decode.seed=[1]", "decode.seed=[2]"], "'decode.seed' has two lists of values"),
        (["seeds"], "expected key=value"),
        (["decode.seed=[1"], "the value cannot be read"),
    ],
)
def test_mistakes(texts: list[str], said: str) -> None:
    with pytest.raises(DllmkitError, match=said):
        Grid.parse(texts)
