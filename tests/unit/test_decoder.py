"""The Python API of the tutorial: recipes in any form, prompts in any form, results, streams, observers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

from dllmkit import Decoder, Result, StepRecord
from dllmkit.decoder import request_seed
from dllmkit.errors import RecipeError, RequestError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "llada-100"
DREAM = Path(__file__).resolve().parents[1] / "golden" / "dream-100"
RECIPE: dict[str, Any] = {
    "model": {"path": str(GOLDEN)},
    "decode": {
        "gen_length": 16,
        "block_scheduler": {"name": "fixed_blocks", "block_length": 8},
        "unmask_selector": {"name": "threshold", "tau": 0.6},
    },
}
PROMPTS = [[5, 6, 7], [8] * 9, [1, 2]]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder.from_recipe(RECIPE)


@pytest.fixture(scope="module")
def tiny() -> Decoder:
    return Decoder.from_recipe("baseline/tiny", ["decode.gen_length=16"])


class Log:
    def __init__(self) -> None:
        self.seen: list[StepRecord | Result] = []

    def on_step(self, step: StepRecord) -> None:
        self.seen.append(step)

    def on_result(self, result: Result) -> None:
        self.seen.append(result)


def test_a_recipe_in_any_form(decoder: Decoder, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(RECIPE))
    overrides = ["decode.gen_length=12"]
    for source in (file, str(file), RECIPE, OmegaConf.create(RECIPE)):
        made = Decoder.from_recipe(source, overrides)
        assert made.recipe.decode.gen_length == 12
        assert made.recipe.resolved["decode"]["unmask_selector"]["tau"] == 0.6
        assert (
            made.decode(PROMPTS[:1])[0].tokens == Decoder.of(decoder.model, made.recipe).decode(PROMPTS[:1])[0].tokens
        )


def test_everything_wrong_with_a_recipe_comes_before_the_model(tmp_path: Path) -> None:
    wrong = ["model.path=/nowhere/at/all", "decode.gen_lenth=3", "decode.gen_length=0"]
    with pytest.raises(RecipeError) as caught:
        Decoder.from_recipe(RECIPE, wrong)
    assert len(caught.value.problems) == 2
    assert "did you mean 'gen_length'" in str(caught.value)


def test_results(decoder: Decoder) -> None:
    log = Log()
    results = decoder.decode(PROMPTS, observers=[log])
    mask = decoder.model.architecture.special.mask_id
    assert [r.index for r in results] == [0, 1, 2]
    for prompt, r in zip(PROMPTS, results, strict=True):
        steps = [s for s in log.seen if isinstance(s, StepRecord) and s.row == r.index]
        assert r.tokens[: r.prompt_length] == prompt
        assert r.generation == r.tokens[len(prompt) :]
        assert len(r.generation) == 16
        assert mask not in r.generation
        assert r.nfe == len(steps) == len(r.query_lengths) == len(r.visible_lengths)
        assert r.query_tokens == r.nfe * (len(prompt) + 16)  # no cache: everything, every time
        assert r.attended == r.nfe * (len(prompt) + 16) ** 2
        assert r.n_committed == 16
        assert sorted(set(r.commit_step)) == list(range(r.nfe))
        assert all(c is not None and 0 < c <= 1 for c in r.confidence)
        assert r.stop_reason == "complete"
        assert r.seconds > 0
        ends = [i for i, t in enumerate(r.generation) if t in decoder.model.architecture.special.eos_ids]
        assert r.answer_length == (ends[0] if ends else 16)
    assert [s for s in log.seen if isinstance(s, Result)] == results


def test_without_a_tokenizer_there_is_no_text(decoder: Decoder) -> None:
    assert decoder.decode(PROMPTS[:1])[0].text is None
    assert decoder.text([1, 2]) is None
    with pytest.raises(RequestError, match="the checkpoint has no tokenizer: give prompts as lists of token ids"):
        decoder.decode(["text"])


def test_text_and_its_token_ids_are_the_same_prompt(tiny: Decoder) -> None:
    text = "Sort these numbers: 4, 2."
    ids = tiny.requests([text])[0].prompt
    assert tiny.text(ids) == text
    by_text, by_ids = tiny.decode([text])[0], tiny.decode([ids])[0]
    assert by_text.tokens == by_ids.tokens
    assert by_text.text == tiny.text(by_text.generation[: by_text.answer_length])


def test_chat_applies_the_template(tiny: Decoder) -> None:
    plain, chat = tiny.requests(["Spell it."])[0].prompt, tiny.requests(["Spell it."], chat=True)[0].prompt
    assert chat[: len(plain)] == plain
    assert tiny.text(chat, specials=True) == "Spell it.<|answer|>"
    assert tiny.text(chat) == "Spell it."
    assert tiny.requests([list(plain)], chat=True)[0].prompt == plain  # ids are taken as they are


def test_chat_without_a_template_is_refused(tiny: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.model.tokenizer, "chat_template", None)
    with pytest.raises(RequestError, match=r"has no chat template: set prompts\.chat=false"):
        tiny.requests(["a"], chat=True)


def test_stream(decoder: Decoder) -> None:
    [result] = decoder.decode(PROMPTS[:1])
    steps = list(decoder.stream(PROMPTS[0]))
    assert [s.step for s in steps] == list(range(result.nfe))
    assert steps[-1].canvas.tolist() == result.tokens
    assert np.concatenate([s.chosen for s in steps]).size == 16
    first = next(decoder.stream(PROMPTS[0]))  # and it may be left after any step
    assert first.canvas.tolist() == steps[0].canvas.tolist()


def test_finished_yields_as_rows_end_and_skips(decoder: Decoder) -> None:
    whole = {r.index: r.tokens for r in decoder.finished(PROMPTS)}
    rest = {r.index: r.tokens for r in decoder.finished(PROMPTS, skip={0, 2})}
    assert rest == {1: whole[1]}


def test_an_early_row_is_yielded_before_the_others(decoder: Decoder) -> None:
    log = Log()
    batched = Decoder.of(decoder.model, Decoder.from_recipe(RECIPE, ["runtime.batch_size=3"]).recipe)
    results = list(batched.finished(PROMPTS, observers=[log]))
    assert [r.nfe for r in results] == sorted(r.nfe for r in results)
    assert {r.index: r.tokens for r in results} == {r.index: r.tokens for r in decoder.finished(PROMPTS)}


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "prompt 1 is empty"),
        ([5, -1], "prompt 1 has token id -1, expected 0 to "),
        ([10**12], "prompt 1 has token id 1000000000000"),
        (
            [5] * 5000,
            "prompt 1 has 5000 tokens and decode.gen_length is 16: together 5016, but the model has [0-9]+ positions",
        ),
    ],
)
def test_prompts_that_cannot_be_decoded(decoder: Decoder, prompt: list[int], message: str) -> None:
    log = Log()
    with pytest.raises(RequestError, match=message):
        decoder.decode([[5], prompt], observers=[log])
    assert log.seen == []  # nothing is decoded before everything is checked


def test_empty_text(tiny: Decoder) -> None:
    with pytest.raises(RequestError, match="prompt 0 is empty"):
        tiny.decode([" \n"])


def test_the_longest_prompt_that_fits(decoder: Decoder) -> None:
    limit = decoder.model.architecture.max_length
    assert len(decoder.requests([[5] * (limit - 16)])[0].prompt) == limit - 16
    with pytest.raises(RequestError, match=f"the model has {limit} positions"):
        decoder.requests([[5] * (limit - 15)])


def test_samplers_refuse_options_without_a_meaning() -> None:
    with pytest.raises(RecipeError) as caught:
        Decoder.from_recipe(RECIPE, ["decode.temperature=1.0", "decode.top_p=0.9", "decode.top_k=5"])
    assert len(caught.value.problems) == 2
    assert "decode.top_p = 0.9: the gumbel sampler of family 'llada' has no top-p or top-k" in str(caught.value)
    asked = ["decode.temperature=1.0", "decode.top_p=0.9", "decode.top_k=5"]
    assert Decoder.from_recipe(RECIPE, [*asked, "decode.sampler=categorical"])
    assert Decoder.from_recipe(RECIPE, [*asked, f"model.path={DREAM}"])  # whose way is categorical


def test_sampling_depends_on_the_seed_the_prompt_and_its_repetition(decoder: Decoder) -> None:
    def tokens(prompts: list[list[int]], *overrides: str) -> list[list[int]]:
        recipe = Decoder.from_recipe(RECIPE, ["decode.temperature=2.0", *overrides]).recipe
        return [r.tokens for r in Decoder.of(decoder.model, recipe).decode(prompts)]

    twice = tokens([[5, 6], [5, 6]])
    assert twice[0] != twice[1]  # two samples, not one twice
    assert tokens([[9], [5, 6], [5, 6]], "runtime.batch_size=2")[1:] == twice  # neither order nor batch matters
    assert tokens([[5, 6]], "decode.seed=1")[0] != twice[0]
    assert len({request_seed(s, t, n) for s in (0, 1) for t in ([5], [6]) for n in (0, 1)}) == 8


def test_layers_that_the_model_lacks_are_refused(decoder: Decoder) -> None:
    from dataclasses import replace

    from dllmkit.signals import Attention, Signals

    class Selector:
        signals = Signals(attention=Attention((-99,)))

    recipe = replace(decoder.recipe, decode=replace(decoder.settings, unmask_selector=Selector()))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"decode\.unmask_selector: attention of layers \(-99,\) asked for"):
        Decoder.of(decoder.model, recipe)
