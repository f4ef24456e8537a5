"""The recipes that come with dllmkit: each is valid, says what it is, and states the published parameters."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from shell import call

from dllmkit.plugins import load_plugins
from dllmkit.recipe import Recipe, load_recipe
from dllmkit.recipe.files import find_recipe, recipe_folders

FOLDER = recipe_folders([])[0]
FILES = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in sorted(FOLDER.rglob("*.yaml"))}
NAMES = [name for name in FILES if not FILES[name].name.startswith("common.")]  # those are there to be extended
BUNDLED = [name for name in NAMES if re.search(r"(^|/)tiny[^/]*$", name) or "/" not in name]

# --- The published parameters, typed by hand from the tables of the specification; not read from the recipes.

MODELS = {  # hub id, and whether the harness applied the chat template
    "llada": ("GSAI-ML/LLaDA-8B-Instruct", True),
    "llada-1.5": ("GSAI-ML/LLaDA-1.5", False),
    "dream": ("Dream-org/Dream-v0-Base-7B", False),
    "dream-instruct": ("Dream-org/Dream-v0-Instruct-7B", False),
}
TASKS = ("gsm8k", "math", "humaneval", "mbpp")

STREAMING = """
    task       length  dream      llada      llada-1.5
    humaneval  256     192 / 0.7  192 / 0.3   96 / 0.3
    humaneval  512     128 / 0.4  256 / 0.4   96 / 0.4
    gsm8k      256      32 / 0.3   96 / 0.3   96 / 0.4
    gsm8k      512      32 / 0.3   96 / 0.3  128 / 0.6
    mbpp       256     192 / 0.3   32 / 0.3   96 / 0.3
    mbpp       512     192 / 0.6   32 / 0.3   96 / 0.3
    math       256      32 / 0.1  128 / 0.3   96 / 0.4
    math       512      32 / 0.3  256 / 0.2  192 / 0.3
"""  # suffix window in tokens / alpha

DAWN = """
    model           sink  edge  induce  gsm8k  math  humaneval  mbpp
    llada           0.01  0.07  0.70    0.75   0.75  0.80       0.70
    llada-1.5       0.01  0.07  0.70    0.75   0.75  0.80       0.75
    dream           0.03  0.05  0.75    0.75   0.80  0.80       0.80
    dream-instruct  0.03  0.10  0.75    0.80   0.80  0.80       0.80
"""  # tau_low is in the columns of the tasks

FIXED = {"name": "fixed_blocks", "block_length": 32}
CONST = {"name": "sliding_block", "block_length": 32, "max_block_length": 32}
GREEDY = {"name": "sliding_block", "block_length": 32, "max_block_length": None}
THRESHOLD = {"name": "threshold", "tau": 0.9}
DSB_CACHE = {"name": "dsb_cache", "prefix_window": 24, "suffix_window": 0, "refresh_every_commits": None}

Published = tuple[str, dict[str, Any]]


def rows(table: str) -> list[dict[str, str]]:
    """The rows of a table whose columns are two spaces apart."""
    header, *lines = (re.split(r"  +", line.strip()) for line in table.strip().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def published(model: str, length: int, *, as_released: bool = True, **components: Any) -> dict[str, Any]:
    path, chat = MODELS[model]
    decode = {"gen_length": length, "as_released": as_released, "block_scheduler": FIXED, **components}
    return {"model": {"path": path}, "decode": decode, "prompts": {"chat": chat}}


def vanilla(model: str, length: int) -> dict[str, Any]:
    """One token per step: LLaDA's quota or Dream's entropy schedule."""
    if model.startswith("dream"):
        return {"name": "dream_schedule", "steps": length, "measure": "neg_entropy"}
    return {"name": "quota", "steps": length}


def streaming() -> Iterator[Published]:
    for row in rows(STREAMING):
        for model in ("dream", "llada", "llada-1.5"):
            window, alpha = row[model].split(" / ")
            yield (
                f"streaming/{model}.{row['task']}-{row['length']}",
                published(
                    model,
                    int(row["length"]),
                    context_window={
                        "name": "suffix_window",
                        "window": int(window),
                        "keep_last": 1,
                        "horizon": "frozen",
                    },
                    cache_policy="prefix_cache",
                    unmask_selector={"name": "dynamic_threshold", "tau": 0.9, "alpha": float(alpha), "scope": "query"},
                    stop_rules=[{"name": "eos", "rule": "block_end"}],
                ),
            )


def dsb() -> Iterator[Published]:
    for model in ("llada", "llada-1.5"):
        variants: dict[str, dict[str, Any]] = {
            "vanilla": {"unmask_selector": vanilla(model, 256)},
            "threshold": {"unmask_selector": THRESHOLD},
            "const": {"block_scheduler": CONST, "unmask_selector": THRESHOLD},
            "greedy": {"block_scheduler": GREEDY, "unmask_selector": THRESHOLD},
            "dual_cache": {"cache_policy": "dual_cache", "unmask_selector": THRESHOLD},
            "cache_const": {"block_scheduler": CONST, "cache_policy": DSB_CACHE, "unmask_selector": THRESHOLD},
            "cache_greedy": {"block_scheduler": GREEDY, "cache_policy": DSB_CACHE, "unmask_selector": THRESHOLD},
        }
        for variant, components in variants.items():
            for task in (*TASKS, "bbh"):
                yield f"dsb/{variant}/{model}.{task}-256", published(model, 256, **components)


def dawn() -> Iterator[Published]:
    for row in rows(DAWN):
        model = row["model"]
        relaxed = 0.8 if model.startswith("dream") else 0.75
        leap = {"name": "local_leap", "tau": 0.9, "tau_relaxed": relaxed, "radius": 4}
        taus = {f"tau_{name}": float(row[name]) for name in ("sink", "edge", "induce")}
        for task in TASKS:
            graph = {"name": "dawn", "tau_high": 0.9, **taus, "tau_low": float(row[task]), "layers": 4}
            yield f"dawn/{model}.{task}-256", published(model, 256, unmask_selector=graph)
            yield f"dawn/local_leap/{model}.{task}-256", published(model, 256, unmask_selector=leap)
            yield f"dawn/threshold/{model}.{task}-256", published(model, 256, unmask_selector=THRESHOLD)
            yield f"dawn/vanilla/{model}.{task}-256", published(model, 256, unmask_selector=vanilla(model, 256))


def fast_dllm() -> Iterator[Published]:
    for task in TASKS:
        for length in (256, 512):
            for model in ("llada", "dream"):
                exact = model == "llada"  # two columns of Dream's table have no component: see recipes/README.md
                blocks = {"name": "fixed_blocks", "block_length": 32 if model == "llada" else length}
                schedule, cell = vanilla(model, length), f"{model}.{task}-{length}"
                yield (
                    f"fast_dllm/vanilla/{cell}",
                    published(model, length, block_scheduler=blocks, unmask_selector=schedule),
                )
                yield (
                    f"fast_dllm/cache/{cell}",
                    published(model, length, as_released=exact, cache_policy="prefix_cache", unmask_selector=schedule),
                )
                yield (
                    f"fast_dllm/parallel/{cell}",
                    published(model, length, as_released=exact, unmask_selector=THRESHOLD),
                )
                yield (
                    f"fast_dllm/{cell}",
                    published(model, length, cache_policy="prefix_cache", unmask_selector=THRESHOLD),
                )


PUBLISHED = dict([*streaming(), *dsb(), *dawn(), *fast_dllm()])


@functools.cache
def plugins() -> Any:
    return load_plugins()


@functools.cache
def loaded(name: str) -> Recipe:
    return load_recipe(name, plugins=plugins())


def header(name: str) -> dict[str, str]:
    """The entries of a recipe's header comment; its first lines, up to the first entry, are under 'Title'."""
    entries, key = {"Title": ""}, "Title"
    for line in FILES[name].read_text().splitlines():
        if not line.startswith("#"):
            break
        found = re.match(r"# ([A-Z]\w+): +(.+)", line)
        if found:
            key, line = found[1], found[2]
        entries[key] = f"{entries.get(key, '')} {line.lstrip('# ')}".strip()
    return entries


def test_every_published_cell_has_a_recipe_and_no_other_is_there():
    assert len(PUBLISHED) == 3 * 4 * 2 + 7 * 2 * 5 + 4 * 4 * 4 + 4 * 2 * 4 * 2
    assert {*PUBLISHED, *BUNDLED} == {*NAMES}
    assert {name.partition("/")[0] for name in BUNDLED} >= {
        *("fast_dllm", "streaming", "dsb", "dawn", "local_leap"), "dawn+dsb", "streaming+dsb",
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_valid_and_found_by_name(name):
    assert find_recipe(name, [FOLDER]).path == FILES[name]
    assert loaded(name).source == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert loaded(name).resolved == load_recipe(PUBLISHED[name], plugins=plugins()).resolved


@pytest.mark.parametrize("name", NAMES)
def test_header(name):
    said = header(name)
    assert said["Title"].endswith(".")
    assert re.search(r"arXiv \d{4}\.\d{5}", said["Paper"] if name in BUNDLED else loaded(name).published.source)
    assert said["Command"].split(" --")[0] == f"dllmkit run {name}"
    assert said["Measured"]
    if name in PUBLISHED:
        figures = loaded(name).published
        assert figures.accuracy is not None
        assert figures.tps is not None
        assert re.fullmatch(r"[AH]\d00 \d+GB?", figures.device)
        assert re.search(r"\d-shot, (chat template|raw text)", figures.harness)
        assert ("chat template" in figures.harness.replace("no chat template", "")) == loaded(name).prompts.chat
        assert ("Differs" in said) == (not loaded(name).decode.as_released)
        assert said["Measured"] == "ours: not measured"
    assert len(FILES[name].read_text().splitlines()) <= 24


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_model_runs_it(name, capsys):
    recipe = loaded(name)
    assert recipe.model.path == "dllmkit/tiny"
    assert recipe.decode.gen_length == 256
    assert not recipe.decode.as_released
    prompt = ("--prompt", 'Spell "planet" and write it backwards.', "--no-live")
    outcome = call(capsys, "run", name, "decode.gen_length=48", "runtime.device=cpu", *prompt)
    assert outcome.status == 0, outcome.err
    assert "nfe" in outcome.out
