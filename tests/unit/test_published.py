"""The section `published` of a recipe: the authors' figures, which change nothing of what is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from dllmkit.errors import RecipeError
from dllmkit.recipe import load_recipe

FIGURES = {"source": "A paper, table 1", "harness": "gsm8k, 5-shot", "device": "an abacus", "accuracy": 12.5}


def test_figures_are_read_and_not_hashed() -> None:
    plain, with_figures = load_recipe({}), load_recipe({"published": FIGURES})
    assert plain.published is None
    assert with_figures.published is not None
    assert (with_figures.published.accuracy, with_figures.published.tps) == (12.5, None)
    assert with_figures.hash == plain.hash
    assert with_figures.to_yaml() == plain.to_yaml()


def test_a_recipe_that_extends_another_has_figures_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("published: {source: s, harness: h, device: d}\ndecode: {gen_length: 8}\n")
    (tmp_path / "child.yaml").write_text("extends: base\n")
    assert load_recipe(tmp_path / "base.yaml").published is not None
    child = load_recipe(tmp_path / "child.yaml")
    assert (child.published, child.decode.gen_length) == (None, 8)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (3, "published = 3, expected a mapping"),
        ({"source": "s", "harness": "h"}, "published.device is missing"),
        ({**FIGURES, "accuracy": 120}, "published.accuracy = 120.0, expected >= 0 and <= 100"),
        ({**FIGURES, "tsp": 1}, "unknown key 'published.tsp': did you mean 'tps'?"),
    ],
)
def test_what_is_wrong_is_said(section: object, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe({"published": section})
    assert said in str(caught.value)


def test_an_override_cannot_rewrite_history() -> None:
    with pytest.raises(RecipeError, match="published figures are the authors', and no setting"):
        load_recipe({}, ["published.accuracy=100"])
