"""Recipes that are right: layers, overrides, provenance, what is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen import Everything, Side, Sliding, SlidingCache, Window, kitchen
from omegaconf import OmegaConf

from dllmkit.errors import RecipeError
from dllmkit.plugins import load_plugins
from dllmkit.recipe import files as recipe_files
from dllmkit.recipe import load_recipe
from dllmkit.recipe.files import find_recipe, recipe_folders, recipe_names
from dllmkit.recipe.layers import annotate, leaves, merge, plain
from dllmkit.recipe.overrides import parse_overrides
from dllmkit.recipe.schema import DEFAULT_COMPONENTS


@pytest.fixture(scope="module")
def plugins():
    return kitchen()


@pytest.fixture
def write(tmp_path):
    def write_file(text: str, name: str = "r.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    return write_file


def test_an_empty_recipe_is_all_defaults(write, plugins):
    for source in (write(""), write("decode:\nmodel:\n"), {}):
        recipe = load_recipe(source, (), plugins)
        assert recipe.decode.gen_length == 128
        assert recipe.model.path == "dllmkit/tiny"
        assert {slot: recipe.resolved["decode"][slot]["name"] for slot in DEFAULT_COMPONENTS} == DEFAULT_COMPONENTS
        assert set(recipe.provenance.values()) == {"default"}


@pytest.mark.parametrize("name", recipe_names(recipe_folders([])))
def test_every_shipped_recipe_loads(name):
    assert load_recipe(name, (), load_plugins(environ={"DLLMKIT_PLUGINS": ""})).source == name


def test_components_are_built_with_their_parameters(plugins):
    recipe = load_recipe(
        {
            "decode": {
                "block_scheduler": {"name": "sliding", "block_length": 16, "max_block_length": None},
                "context_window": {"name": "window", "window": 96},
                "stop_rules": ["eos", {"name": "prophet", "share": 0.25}],
            }
        },
        (),
        plugins,
    )
    assert recipe.decode.block_scheduler == Sliding(16)
    assert recipe.decode.context_window == Window(96)
    assert [type(rule).__name__ for rule in recipe.decode.stop_rules] == ["Eos", "Prophet"]
    assert recipe.resolved["decode"]["context_window"] == {"name": "window", "window": 96, "keep_last": 1}


def test_values_become_the_types_of_the_fields(plugins):
    given = {"number": 1, "side": "RIGHT", "word": "b", "several": [3], "by_name": {"x": 1}, "either": "y"}
    recipe = load_recipe({"decode": {"unmask_selector": {"name": "everything", **given}}}, (), plugins)
    assert recipe.decode.unmask_selector == Everything(1.0, Side.RIGHT, "b", (3,), {"x": 1.0}, "y")
    assert recipe.resolved["decode"]["unmask_selector"] == {
        "name": "everything", "number": 1.0, "side": "RIGHT", "word": "b", "several": [3], "by_name": {"x": 1.0},
        "either": "y",
    }  # fmt: skip


def test_layers_and_where_values_come_from(write, plugins):
    write(
        "decode: {gen_length: 64, seed: 1, temperature: 0.5, block_scheduler: {name: sliding, block_length: 8}}",
        "base/common.yaml",
    )
    path = write("extends: base/common\ndecode: {seed: 2, temperature: 1, block_scheduler: {max_block_length: 64}}")
    recipe = load_recipe(path, ["decode.temperature=0.25"], plugins)
    assert recipe.decode.block_scheduler == Sliding(8, 64)
    picked = ("gen_length", "seed", "temperature", "as_released", "block_scheduler.block_length")
    assert [recipe.provenance[f"decode.{key}"] for key in picked] == [
        "base/common (extends)", "recipe file", "override 'decode.temperature=0.25'", "default", "base/common (extends)",
    ]  # fmt: skip
    assert (recipe.decode.gen_length, recipe.decode.seed, recipe.decode.temperature) == (64, 2, 0.25)


def test_another_name_drops_the_parameters_below(write, plugins):
    write("decode: {block_scheduler: {name: fixed_blocks, block_length: 8}}", "common.yaml")
    path = write("extends: common.yaml\ndecode: {block_scheduler: sliding}")
    assert load_recipe(path, (), plugins).decode.block_scheduler == Sliding(32)
    same = write("extends: common.yaml\ndecode: {block_scheduler: fixed_blocks}", "same.yaml")
    assert load_recipe(same, (), plugins).resolved["decode"]["block_scheduler"]["block_length"] == 8


@pytest.mark.parametrize("swap", [False, True])
def test_a_name_and_its_parameters_are_overridden_in_any_order(plugins, swap):
    overrides = ["decode.block_scheduler.block_length=4", "decode.block_scheduler.name=sliding"]
    recipe = load_recipe({"decode": {"block_scheduler": {"block_length": 9}}}, overrides[:: -1 if swap else 1], plugins)
    assert recipe.decode.block_scheduler == Sliding(4)


def test_lists_replace_and_their_items_can_be_overridden(plugins):
    base = {"decode": {"stop_rules": ["eos"]}, "prompts": {"samples": ["a", "b"]}}
    recipe = load_recipe(base, ["decode.stop_rules.0.rule=block_end", "prompts.samples[1]=c"], plugins)
    assert recipe.decode.stop_rules[0].rule == "block_end"
    assert recipe.prompts.samples == ("a", "c")
    assert recipe.provenance["prompts.samples.0"] == "recipe"
    assert recipe.provenance["prompts.samples.1"] == "override 'prompts.samples[1]=c'"
    assert load_recipe(base, ["decode.stop_rules=[]"], plugins).decode.stop_rules == ()
    appended = load_recipe(base, ["decode.stop_rules.1=prophet", "decode.stop_rules.1.share=0.1"], plugins)
    assert appended.decode.stop_rules[1].share == 0.1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("decode.temperature=1e-3", 0.001),
        ("decode.temperature = 2", 2.0),
        ("decode.temperature='0.5'", 0.5),
        ("decode={temperature: 3}", 3.0),
        ("decode={temperature: 3, block_scheduler: sliding}", 3.0),
    ],
)
def test_override_values_are_read_as_yaml(plugins, text, value):
    assert load_recipe({}, [text], plugins).decode.temperature == value


def test_null_and_the_last_of_two_overrides(plugins):
    recipe = load_recipe({"decode": {"top_k": 5}}, ["decode.top_k=3", "decode.top_k=null"], plugins)
    assert recipe.decode.top_k is None


def test_interpolations_see_defaults_names_and_each_other(plugins, monkeypatch):
    monkeypatch.setenv("SCHEDULER", "sliding")
    recipe = load_recipe(
        {
            "decode": {
                "block_scheduler": "${oc.env:SCHEDULER}",
                "context_window": {"name": "window", "window": "${decode.block_scheduler.block_length}"},
                "gen_length": "${.context_window.window}",
            }
        },
        ["decode.seed=${decode.gen_length}"],
        plugins,
    )
    assert recipe.decode.context_window == Window(32)
    assert (recipe.decode.gen_length, recipe.decode.seed) == (32, 32)
    assert recipe.provenance["decode.seed"] == "override 'decode.seed=${decode.gen_length}': ${decode.gen_length}"
    assert recipe.resolved["decode"]["block_scheduler"]["name"] == "sliding"


def test_a_dictconfig_is_a_source_and_is_not_changed(plugins):
    source = OmegaConf.create({"decode": {"gen_length": 7}})
    before = OmegaConf.to_yaml(source)
    assert load_recipe(source, ["decode.seed=1"], plugins).decode.gen_length == 7
    assert OmegaConf.to_yaml(source) == before


def test_rules_that_hold(plugins):
    recipe = load_recipe({}, ["decode.cache_policy=sliding_cache", "decode.block_scheduler=sliding"], plugins)
    assert recipe.decode.cache_policy == SlidingCache()


def test_the_yaml_reads_back_as_the_same_recipe(write, plugins):
    samples = ["a: b", "1e-3", "two\nlines", "null", "on", "costs ${x}", "x" * 200, "é", "2020-01-01", " "]
    source = {"prompts": {"samples": [s.replace("${", "\\${") for s in samples]}, "decode": {"stop_rules": ["eos"]}}
    recipe = load_recipe(source, (), plugins)
    assert recipe.prompts.samples == tuple(samples)
    again = load_recipe(write(recipe.to_yaml()), (), plugins)
    assert (again.resolved, again.hash) == (recipe.resolved, recipe.hash)


def test_the_hash_is_of_values_not_of_layers(write, plugins):
    one, other = write("decode: {seed: 1}"), write("{}", "other.yaml")
    assert load_recipe(one, (), plugins).hash == load_recipe(other, ["decode.seed=1"], plugins).hash
    assert load_recipe(one, (), plugins).hash != load_recipe(other, (), plugins).hash
    assert load_recipe(one, (), plugins).short_hash == load_recipe(one, (), plugins).hash[:12]


def test_provenance_has_every_leaf_of_the_resolved_recipe(plugins):
    recipe = load_recipe({"decode": {"stop_rules": ["eos"]}}, ["prompts.samples=[a]"], plugins)
    assert set(recipe.provenance) == {".".join(path) for path, _ in leaves(annotate(recipe.resolved, ""))}
    json.dumps(recipe.resolved)


@pytest.mark.parametrize(
    "name", ["baseline/tiny", "baseline/tiny.yaml", "recipes/baseline/tiny.yaml", "recipes/baseline/tiny"]
)
def test_recipes_are_found_by_name_from_anywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert find_recipe(name, recipe_folders([])).path.name == "tiny.yaml"


def test_a_file_goes_before_a_recipe_of_the_same_name(write, monkeypatch, plugins, tmp_path):
    write("decode: {seed: 77}", "baseline/tiny.yaml")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("baseline/tiny.yaml", (), plugins).decode.seed == 77


def test_plugins_can_ship_recipes(write, tmp_path):
    write("decode: {seed: 5}", "theirs/x.yaml")
    write("secret: 1", "outside.yaml")
    folders = recipe_folders([tmp_path / "theirs"])
    assert "x" in recipe_names(folders)
    assert find_recipe("x", folders).read() == {"decode": {"seed": 5}}
    with pytest.raises(RecipeError):
        find_recipe("../outside", folders)


def test_a_wheel_reads_its_own_recipes_and_a_checkout_the_folder_beside(tmp_path, monkeypatch):
    (tmp_path / "dllmkit").mkdir()
    monkeypatch.setattr(recipe_files, "__file__", str(tmp_path / "dllmkit" / "recipe" / "files.py"))
    assert recipe_folders([]) == [tmp_path.resolve() / "recipes"]
    (tmp_path / "dllmkit" / "_recipes").mkdir()
    assert recipe_folders([]) == [tmp_path.resolve() / "dllmkit" / "_recipes"]


keys = st.text("abc", min_size=1, max_size=2)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text("xyz", max_size=3))
trees = st.recursive(
    scalars, lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=2), max_leaves=8
)
mappings = st.dictionaries(keys, trees, max_size=3)


@given(mappings, mappings)
def test_merging_keeps_the_top_layer_and_is_idempotent(low, high):
    below, above = annotate(low, "low"), annotate(high, "high")
    merged = merge(below, above)
    assert merge(merged, above) == merged
    assert merge(below, below) == below
    flat = dict(leaves(merged))
    assert all(flat[path] == leaf for path, leaf in leaves(above) if path in flat and leaf.value != {})


@given(mappings)
def test_a_tree_gives_its_values_back(value):
    assert plain(annotate(value, "x")) == value


@given(st.permutations(["a.b=1", "a.b.c=2", "a.name=x", "a=y", "b=3", "a.name.d=4"]))
def test_overrides_are_sorted_from_the_whole_to_its_parts(texts):
    problems: list[str] = []
    ordered = parse_overrides(texts, problems)
    assert [len(o.keys) for o in ordered] == [1, 1, 2, 2, 3, 3]
    assert ordered[2].keys == ("a", "name")
    assert not problems


@given(st.text(max_size=20))
def test_no_override_text_raises(text):
    problems: list[str] = []
    parsed = parse_overrides([text], problems)
    assert len(parsed) + len(problems) == 1


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()))
def test_yaml_scalars_survive_an_override(value):
    text = OmegaConf.to_yaml(OmegaConf.create([value])).removeprefix("- ").strip()
    problems: list[str] = []
    (override,) = parse_overrides([f"a={text}"], problems)
    assert override.value == value
    assert type(override.value) is type(value)
