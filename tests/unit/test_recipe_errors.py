"""Recipes that are wrong: every problem at once, each text exact."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kitchen import kitchen

from dllmkit.errors import RecipeError
from dllmkit.recipe import load_recipe

PLUGINS = kitchen()


@pytest.fixture(scope="module")
def plugins():
    return PLUGINS


def problems(source, overrides=(), plugins=None):
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides, plugins)
    return list(caught.value.problems)


CASES = [
    # unknown keys
    ({"decod": {}}, "unknown key 'decod': did you mean 'decode'?"),
    ({"zzz": 1}, "unknown key 'zzz': known: decode, extends, model, prompts, published, runtime"),
    ({"gen_length": 64}, "unknown key 'gen_length': did you mean 'decode.gen_length'?"),
    ({"decode": {"batch_size": 64}}, "unknown key 'decode.batch_size': did you mean 'runtime.batch_size'?"),
    ({"decode": {"gen_lenght": 64}}, "unknown key 'decode.gen_lenght': did you mean 'gen_length'?"),
    ({"decode": {"block_schedular": "x"}}, "unknown key 'decode.block_schedular': did you mean 'block_scheduler'?"),
    ({"model": {"zzz": 1}}, "unknown key 'model.zzz': known: path, revision"),
    # unknown components and parameters
    (
        {"decode": {"block_scheduler": "slidng"}},
        "decode.block_scheduler: unknown block scheduler 'slidng': did you mean 'sliding'?",
    ),
    (
        {"decode": {"block_scheduler": {"name": "zzz"}}},
        "decode.block_scheduler: unknown block scheduler 'zzz': known: fixed_blocks, sliding",
    ),
    ({"decode": {"stop_rules": ["eoss"]}}, "decode.stop_rules.0: unknown stop rule 'eoss': did you mean 'eos'?"),
    (
        {"decode": {"block_scheduler": {"name": "sliding", "blok_length": 8}}},
        "unknown key 'decode.block_scheduler.blok_length': did you mean 'block_length'?",
    ),
    (
        {"decode": {"block_scheduler": {"name": "sliding", "zzz": 8}}},
        "unknown key 'decode.block_scheduler.zzz': known: block_length, max_block_length",
    ),
    ({"decode": {"context_window": {"size": 8}}}, "unknown key 'decode.context_window.size': Full has no parameters"),
    ({"decode": {"cache_policy": None}}, "decode.cache_policy = null, expected a name; known: confused, none, sliding_cache"),
    ({"decode": {"block_scheduler": 5}}, "decode.block_scheduler = 5, expected a name; known: fixed_blocks, sliding"),
    ({"decode": {"block_scheduler": {"name": 5}}},
     "decode.block_scheduler.name = 5, expected a name; known: fixed_blocks, sliding"),
    ({"decode": {"stop_rules": [{"rule": "x"}]}}, "decode.stop_rules.0 has no name; known: eos, prophet"),
    ({"decode": {"stop_rules": "eos"}}, "decode.stop_rules = 'eos', expected a list"),
    ({"decode": {"stop_rules": None}}, "decode.stop_rules = null, expected a list"),
    ({"decode": {"context_window": "window"}}, "decode.context_window.window is missing, expected int >= 0"),
    (
        {"decode": {"unmask_selector": "gone"}},
        "decode.unmask_selector: unmask_selector 'gone' of plugin 'kitchen' (no distribution) cannot be imported from "
        "'no_such_module:Gone': ModuleNotFoundError: No module named 'no_such_module'",
    ),
    # types
    ({"decode": {"gen_length": "many"}}, "decode.gen_length = 'many', expected int"),
    ({"decode": {"gen_length": 1.5}}, "decode.gen_length = 1.5, expected int"),
    ({"decode": {"gen_length": True}}, "decode.gen_length = true, expected int"),
    ({"decode": {"gen_length": None}}, "decode.gen_length = null, expected int"),
    ({"decode": {"gen_length": {"a": 1}}}, "decode.gen_length = {'a': 1}, expected int"),
    ({"decode": {"top_p": "much"}}, "decode.top_p = 'much', expected float | null"),
    ({"decode": {"as_released": "maybe"}}, "decode.as_released = 'maybe', expected bool"),
    ({"decode": 5}, "decode = 5, expected a mapping"),
    ({"model": ["a"]}, "model = ['a'], expected a mapping"),
    ({"model": {"path": False}}, "model.path = false, expected str"),
    ({"prompts": {"samples": "hello"}}, "prompts.samples = 'hello', expected tuple[str, ...]"),
    (
        {"decode": {"unmask_selector": {"name": "everything", "word": "c"}}},
        "decode.unmask_selector.word = 'c', expected Literal['a', 'b']",
    ),
    ({"decode": {"unmask_selector": {"name": "everything", "several": [1, "x"]}}},
     "decode.unmask_selector.several = [1, 'x'], expected tuple[int, ...]"),
    # ranges
    ({"decode": {"gen_length": 0}}, "decode.gen_length = 0, expected >= 1"),
    ({"decode": {"top_p": 0}}, "decode.top_p = 0.0, expected > 0 and <= 1"),
    ({"decode": {"top_k": 0}}, "decode.top_k = 0, expected >= 1"),
    ({"decode": {"temperature": -1}}, "decode.temperature = -1.0, expected >= 0"),
    ({"decode": {"temperature": float("nan")}}, "decode.temperature = nan, expected >= 0"),
    ({"decode": {"sampler": "gumbl"}}, "decode.sampler = 'gumbl', expected one of: auto, gumbel, categorical"),
    ({"runtime": {"dtype": "int8"}}, "runtime.dtype = 'int8', expected one of: auto, float64, float32, bfloat16, float16"),
    ({"runtime": {"device": "gpu"}}, "runtime.device = 'gpu', expected auto, cpu, cuda or cuda:N"),
    ({"runtime": {"device": "cuda:x"}}, "runtime.device = 'cuda:x', expected auto, cpu, cuda or cuda:N"),
    ({"runtime": {"compile": "fast"}}, "runtime.compile = 'fast', expected one of: none, default, reduce-overhead"),
    ({"runtime": {"threads": 0}}, "runtime.threads = 0, expected >= 1"),
    ({"decode": {"stop_rules": [{"name": "eos", "rule": "x"}]}},
     "decode.stop_rules.0.rule = 'x', expected one of: prefix_complete, block_end"),
    # what a component says itself
    (
        {"decode": {"block_scheduler": {"name": "sliding", "max_block_length": 8}}},
        "decode.block_scheduler: max_block_length = 8, expected >= block_length = 32",
    ),
    (
        {"decode": {"unmask_selector": {"name": "everything", "number": 13}}},
        "decode.unmask_selector: Everything failed: RuntimeError: unlucky",
    ),
    (
        {"decode": {"unmask_selector": "odd"}},
        "decode.unmask_selector: the fields of Odd cannot be read from a recipe: Unexpected type annotation: complex",
    ),
    # combinations
    (
        {"decode": {"cache_policy": "sliding_cache"}},
        "decode.cache_policy = sliding_cache needs decode.block_scheduler = sliding, not fixed_blocks: it follows the block",
    ),
    (
        {"decode": {"cache_policy": "sliding_cache", "block_scheduler": "sliding",
                    "context_window": {"name": "window", "window": 8}}},
        "decode.cache_policy = sliding_cache cannot go with decode.context_window = window: "
        "the delay is undefined for pruned positions",
    ),
    (
        {"decode": {"cache_policy": "sliding_cache", "block_scheduler": "sliding", "stop_rules": ["eos", "prophet"]}},
        "decode.cache_policy = sliding_cache cannot go with decode.stop_rules = prophet: it reads every position",
    ),
    (
        {"decode": {"stop_rules": ["prophet"]}},
        "decode.stop_rules = prophet needs decode.stop_rules = eos or never: it must end somewhere",
    ),
    (
        {"decode": {"cache_policy": "confused"}},
        "decode.cache_policy: confused has a rule about 'cache_polic': did you mean 'cache_policy'?",
    ),
    # interpolations
    ({"decode": {"seed": "${decode.sead}"}}, "decode.seed = '${decode.sead}': interpolation key 'decode.sead' not found"),
    ({"decode": {"seed": "???"}}, "decode.seed = '???': a value must be given"),
    ({"decode": {"seed": "${"}}, "decode.seed: no viable alternative at input '${'"),
    (
        {"decode": {"block_scheduler": "${oc.env:NO_SUCH_VARIABLE}"}},
        "decode.block_scheduler.name = '${oc.env:NO_SUCH_VARIABLE}': "
        "keyError raised while resolving interpolation: \"Environment variable 'NO_SUCH_VARIABLE' not found\"",
    ),
    # extends
    ({"extends": ["a", "b"]}, "extends = ['a', 'b'], expected the name of one recipe"),
    (
        {"extends": "baseline/tinny"},
        "extends 'baseline/tinny': there is no recipe file or recipe of this name: did you mean 'baseline/tiny'?",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "problem"), CASES, ids=lambda value: str(value)[:60])
def test_one_problem(plugins, source, problem):
    assert problems(source, (), plugins) == [problem]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("decode.gen_length", "override 'decode.gen_length': expected key=value"),
        ("=5", "override '=5': '' is not a key like decode.gen_length"),
        ("decode..x=5", "override 'decode..x=5': 'decode..x' is not a key like decode.gen_length"),
        ("decode.seed=[1", "override 'decode.seed=[1': the value cannot be read: did not find expected ',' or ']'"),
        ("decode.seed=${", "override 'decode.seed=${': the value cannot be read: no viable alternative at input '${'"),
        ("extends=x", "override 'extends=x': only a recipe file can say what it extends"),
        ("decode.gen_lenght=1", "unknown key 'decode.gen_lenght': did you mean 'gen_length'?"),
        ("decod.gen_length=1", "unknown key 'decod': did you mean 'decode'?"),
        ("decode.gen_length.x=1", "decode.gen_length = {'x': 1}, expected int"),
        ("decode.stop_rules.1.rule=x", "override 'decode.stop_rules.1.rule=x': there is no item '1': the list has 0"),
        ("decode.stop_rules.x=y", "override 'decode.stop_rules.x=y': there is no item 'x': the list has 0"),
        ("decode.seed=", "decode.seed = null, expected int"),
        ("+decode.seed=1", "override '+decode.seed=1': '+decode.seed' is not a key like decode.gen_length"),
    ],
)
def test_one_bad_override(plugins, override, problem):
    assert problems({}, [override], plugins) == [problem]


def test_everything_is_reported_at_once(plugins):
    source = {
        "decod": {},
        "decode": {
            "gen_length": 0,
            "seed": "x",
            "temprature": 1,
            "block_scheduler": {"name": "sliding", "block_length": "long", "max_blok_length": 3},
            "context_window": "window",
            "cache_policy": "sliding_cach",
            "stop_rules": ["eos", {"name": "prophet", "share": 2}, "zzz"],
        },
        "runtime": {"batch_size": 0, "device": "gpu"},
    }
    assert problems(source, ["foo", "prompts.chat=sometimes"], plugins) == [
        "override 'foo': expected key=value",
        "unknown key 'decod': did you mean 'decode'?",
        "unknown key 'decode.temprature': did you mean 'temperature'?",
        "decode.seed = 'x', expected int",
        "decode.gen_length = 0, expected >= 1",
        "unknown key 'decode.block_scheduler.max_blok_length': did you mean 'max_block_length'?",
        "decode.block_scheduler.block_length = 'long', expected int",
        "decode.context_window.window is missing, expected int >= 0",
        "decode.cache_policy: unknown cache policy 'sliding_cach': did you mean 'sliding_cache'?",
        "decode.stop_rules.1.share = 2.0, expected > 0 and < 1",
        "decode.stop_rules.2: unknown stop rule 'zzz': known: eos, prophet",
        "runtime.device = 'gpu', expected auto, cpu, cuda or cuda:N",
        "runtime.batch_size = 0, expected >= 1",
        "prompts.chat = 'sometimes', expected bool",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"decode: [1", "malformed YAML: line 1, column 11: expected ',' or ']', but got '<stream end>'"),
        (b"decode:\n\tx: 1", "malformed YAML: line 2, column 1: found character '\\t' that cannot start any token"),
        (b"model: a: b", "malformed YAML: line 1, column 9: mapping values are not allowed here"),
        (b"decode:\n  seed: 1\n  seed: 2", "malformed YAML: line 3, column 3: found duplicate key seed"),
        (b"decode: &a [*a]", "malformed YAML: line 1, column 9: YAML recursive aliases are not supported."),
        (b"decode: \x00", "malformed YAML: line 1, column 9: unacceptable character #x0000"),
        (b"a: 1\nb: \xff\n", "not UTF-8: byte 0xff in line 2"),
        (b"- a\n- b", "expected a mapping of model, decode, runtime and prompts, found a list"),
        (b"hello", "expected a mapping of model, decode, runtime and prompts, found a single value"),
        (b"decode: {seed: '${'}", "malformed YAML: decode.seed: no viable alternative at input '${'"),
        (b"decode: !!python/name:os.system x",
         "malformed YAML: line 1, column 9: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/name:os.system'"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(plugins, tmp_path, content, problem):
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    assert problems(path, (), plugins) == [problem]


def test_a_bad_override_is_reported_with_an_unreadable_file(plugins, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("- a")
    assert problems(path, ["foo"], plugins) == [
        "override 'foo': expected key=value",
        "expected a mapping of model, decode, runtime and prompts, found a list",
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("baseline/tinny", "there is no recipe file or recipe of this name: did you mean 'baseline/tiny'?"),
        ("tiny.yaml", "there is no recipe file or recipe of this name: did you mean 'baseline/tiny'?"),
    ],
)
def test_missing_recipes(plugins, tmp_path, monkeypatch, name, problem):
    monkeypatch.chdir(tmp_path)
    assert problems(name, (), plugins) == [problem]


def test_a_folder_is_no_recipe(plugins, tmp_path):
    assert problems(tmp_path, (), plugins) == ["this is a folder, expected a recipe file"]


def test_extending_twice_and_extending_something_broken(plugins, tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b")
    (tmp_path / "b.yaml").write_text("extends: c")
    (tmp_path / "c.yaml").write_text("decode: [1")
    assert problems(tmp_path / "a.yaml", (), plugins) == [
        "extends 'b', which extends another recipe: one level is all there is"
    ]
    assert problems(tmp_path / "b.yaml", (), plugins) == [
        "extends 'c': malformed YAML: line 1, column 11: expected ',' or ']', but got '<stream end>'"
    ]


def test_values_that_yaml_does_not_have(plugins):
    (problem,) = problems({"decode": {"seed": object()}}, (), plugins)
    assert problem.startswith("decode.seed: ")


def test_the_message_lists_all_and_fits_one_line_for_one(plugins):
    with pytest.raises(RecipeError) as caught:
        load_recipe({"a": 1, "b": 2}, (), plugins)
    assert str(caught.value).splitlines() == [
        "recipe: 2 problems",
        "  - unknown key 'a': known: decode, extends, model, prompts, published, runtime",
        "  - unknown key 'b': known: decode, extends, model, prompts, published, runtime",
    ]
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("no_such.yaml"), (), plugins)
    assert str(caught.value).startswith("no_such.yaml: there is no recipe file or recipe of this name: ")


WORDS = """model decode runtime prompts extends block_scheduler context_window cache_policy stop_rules name sliding eos prophet
    window gen_length seed samples device ${decode.seed} ??? 0"""
words = st.sampled_from(WORDS.split())
values = st.recursive(
    st.one_of(words, st.none(), st.booleans(), st.integers(-2, 40), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.dictionaries(words, inner, max_size=4), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(
    st.dictionaries(words, values, max_size=4),
    st.lists(st.tuples(st.lists(words, max_size=4), st.text(max_size=4)), max_size=3),
)
@settings(max_examples=200)
def test_whatever_is_written_the_answer_is_a_recipe_or_a_recipe_error(source, overrides):
    texts = [f"{'.'.join(keys)}={value}" for keys, value in overrides]
    said: tuple[str, ...] = ()
    try:
        recipe = load_recipe(source, texts, PLUGINS)
        assert load_recipe(recipe.resolved, (), PLUGINS).hash == recipe.hash
    except RecipeError as error:
        said = error.problems
    assert len(set(said)) == len(said)


def test_a_circle_of_interpolations_ends(plugins):
    found = problems({"decode": {"seed": "${decode.top_k}", "top_k": "${decode.seed}"}}, (), plugins)
    assert sorted(text.partition(":")[0] for text in found) == [
        "decode.seed = '${decode.top_k}'",
        "decode.top_k = '${decode.seed}'",
    ]


def test_text_nested_too_deeply_is_malformed(plugins, tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("decode: " + "[" * 5000)
    (problem,) = problems(path, (), plugins)
    assert problem.startswith("malformed YAML: ")
    (problem,) = problems({}, ["decode.seed=" + "[" * 5000], plugins)
    assert problem.startswith("override 'decode.seed=[[[")
