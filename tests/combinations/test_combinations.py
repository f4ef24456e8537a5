"""Each allowed combination decodes: sets nest, nothing stays masked, and a batch equals single runs."""

from __future__ import annotations

from functools import cache

import pytest
from decoding import outcome, outcomes
from methods import COMBINATIONS, PARAMETERS, PLUGINS, check_complete, check_steps, policy_of, section

from dllmkit.errors import RecipeError
from dllmkit.recipe import load_recipe
from dllmkit.testing.toy import toy_decode, toy_model

PROMPTS = [[4, 9], [7, 23, 1, 5, 18, 2, 2, 8, 11, 3], [1, 2, 3, 4, 6]]  # ragged, one with [MASK]
LENGTH = 7  # no multiple of the block length
model_of = cache(lambda shift: toy_model(5, shift=shift, layers=1, width=16, heads=2, kv_heads=1))

PLACES = [
    pytest.param(place, cells, at, id=" ".join([*map(str, place), *([["greedy", "const"][at]] if several else [])]))
    for place, cells in COMBINATIONS.cells()
    if any(one.runs for combined in cells.values() for one in combined)
    for several in [len(PARAMETERS[place[0].name]) > 1]
    for at in range(len(PARAMETERS[place[0].name]))
]


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("place", "cells", "at"), PLACES)
def test_each_allowed_combination_decodes(place, cells, at, shift):
    model = model_of(shift)
    for combined in cells.values():
        for one in combined:
            if not one.runs:
                continue
            policy = policy_of(section(one, at))
            rows, steps = toy_decode(model, PROMPTS, policy, gen_length=LENGTH, batch_size=3)
            check_steps(steps, PROMPTS, LENGTH, shift)
            check_complete(rows, model.architecture.special.mask_id)
            if str(one.choices.get("stop_rule")) == "eos":  # rows end apart, and their places move
                alone = [toy_decode(model, [p], policy, gen_length=LENGTH)[0][0] for p in PROMPTS]
                assert outcomes(rows) == [outcome(row) for row in alone]


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("place", "cells", "at"), PLACES)
def test_each_allowed_combination_decodes_as_released(place, cells, at, shift):
    model = model_of(shift)
    for combined in cells.values():
        policy = policy_of(section(combined[0], at, as_released=True))
        rows, steps = toy_decode(model, PROMPTS[1:], policy, gen_length=LENGTH, batch_size=2, as_released=True)
        check_steps(steps, PROMPTS[1:], LENGTH, shift, released=True)
        check_complete(rows, model.architecture.special.mask_id)


def test_the_refused_ones_are_refused_when_the_recipe_is_read():
    refused = [one for one in COMBINATIONS.all if not one.runs]
    assert refused
    for one in refused:
        with pytest.raises(RecipeError) as caught:
            load_recipe({"decode": section(one)}, (), PLUGINS)
        assert caught.value.problems == one.reasons
