"""The bundled model, as it is shipped: it loads, conforms, and decodes the same in batches (not: how well it answers)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dllmkit import Decoder
from dllmkit.models.checkpoint import locate
from dllmkit.models.llada import Llada
from dllmkit.testing.conformance import check_family
from dllmkit.tiny.problems import KINDS, evaluation_set

MOST_BYTES = 12 * 2**20


@pytest.fixture(scope="module")
def problems():
    return evaluation_set(10, 5, KINDS)


def test_the_folder_is_small_and_complete():
    folder = locate("dllmkit/tiny")
    names = {file.name for file in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"} <= names
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES
    assert not [n for n in names if Path(n).suffix in {".bin", ".pt", ".py"}]


def test_it_passes_the_conformance_check(problems):
    decoder = Decoder.from_recipe("baseline/tiny", ["runtime.dtype=float32"])
    (request,) = decoder.requests([problems[0].prompt], chat=True)
    answer = decoder.model.tokenizer(problems[0].answer)["input_ids"]
    sample = [*request.prompt, *answer, *request.eos_ids]
    check_family(locate("dllmkit/tiny"), Llada(), sample=sample, given=len(request.prompt))


@pytest.mark.parametrize("selector", ["quota", "threshold", "dawn"])
def test_a_batch_answers_as_single_runs_do(problems, selector):
    """Greedy float32: rounding differs with the shape of a batch, but not enough to change a token."""
    overrides = ["runtime.dtype=float32", "decode.gen_length=64", f"decode.unmask_selector={selector}"]
    if selector == "quota":
        overrides.append("decode.unmask_selector.steps=32")
    prompts = [problem.prompt for problem in problems]
    alone = Decoder.from_recipe("baseline/tiny", overrides).decode(prompts, chat=True)
    together = Decoder.from_recipe("baseline/tiny", [*overrides, "runtime.batch_size=4"]).decode(prompts, chat=True)
    assert [(r.tokens, r.nfe, r.query_lengths) for r in together] == [(r.tokens, r.nfe, r.query_lengths) for r in alone]
