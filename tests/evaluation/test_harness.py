"""Recipes as models of lm-evaluation-harness, on local tasks and without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from evaluating import SHORT, SLOW
from shell import call, python

from dllmkit import Decoder
from dllmkit.evaluation.shards import Group
from dllmkit.tiny.problems import check, evaluation_set

lm_eval = pytest.importorskip("lm_eval", reason="the extra [eval] is not installed")

from lm_eval.api.instance import Instance  # noqa: E402

from dllmkit.evaluation.harness import DllmkitLM, HarnessOptions, cut  # noqa: E402
from dllmkit.evaluation.likelihood import Likelihood  # noqa: E402

GENERATE = """
task: local_generate
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/generate.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n\\n"], do_sample: false, max_gen_toks: 64}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
CHOOSE = """
task: local_choose
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/choose.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
target_delimiter: ""
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
ROLL = """
task: local_roll
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/choose.jsonl}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list: [{{metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}}]
"""
TASKS = "local_generate,local_choose,local_roll"


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder.from_recipe(SHORT[0], SHORT[1:])


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three local tasks of the bundled model's problems."""
    folder = tmp_path_factory.mktemp("tasks")
    for name, text in (("generate", GENERATE), ("choose", CHOOSE), ("roll", ROLL)):
        (folder / f"{name}.yaml").write_text(text.format(folder=folder))
    generate = [{"question": p.prompt, "answer": p.answer} for p in evaluation_set(7, 0)]
    choose = [
        {"question": p.prompt, "choices": [p.answer, p.answer[::-1]], "gold": 0} for p in evaluation_set(3, 0, ["math"])
    ]
    for name, records in (("generate", generate), ("choose", choose)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))


def model(decoder: Decoder, **options: Any) -> DllmkitLM:
    return DllmkitLM(decoder, HarnessOptions(**{"samples": 4, **options}), Group())


def requests(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, one, index) for index, one in enumerate(arguments)]


def test_answers_end_at_the_first_stop_string(decoder: Decoder, capsys: pytest.CaptureFixture[str]) -> None:
    problems = evaluation_set(5, 0)
    asked = [(p.prompt, {"until": [], "max_gen_toks": 64}) for p in problems]
    whole = model(decoder).generate_until(requests("generate_until", *asked))
    assert sum(check(problem, text) for problem, text in zip(problems, whole, strict=True)) >= 3
    assert whole == [r.text for r in decoder.decode([p.prompt for p in problems], chat=True)]
    stopped = [(p.prompt, {"until": ["\n", " 1", "absent"], "max_gen_toks": 64}) for p in problems]
    short = model(decoder).generate_until(requests("generate_until", *stopped))
    assert short == [text.split("\n")[0].split(" 1")[0] for text in whole]
    assert short != whole
    assert capsys.readouterr().err == ""


def test_cutting() -> None:
    assert cut("abcabc", ["c", "b"]) == "a"
    assert cut("abc", "b") == "a"
    assert cut("abc", ["", "x"]) == "abc"
    assert cut("abc", []) == "abc"


def test_what_a_task_asks_and_the_recipe_does_not_do_is_said_once(
    decoder: Decoder, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"until": [], "max_gen_toks": 99, "do_sample": True, "temperature": 0.5}
    model(decoder).generate_until(requests("generate_until", ("One.", options), ("Two.", options)))
    assert capsys.readouterr().err.splitlines() == [
        "warning: the task asks for max_gen_toks=99, the recipe generates 64 positions: the recipe counts",
        "warning: the task asks for temperature 0.5, the recipe has decode.temperature=0.0: the recipe counts",
    ]


def test_likelihoods_are_the_bound_of_the_tokens(decoder: Decoder) -> None:
    """With the chat template the context is the user's turn, and the continuation begins the reply."""
    (request,) = decoder.requests(["What is 2 + 2?"], chat=True)
    target = decoder.model.tokenizer("The answer is 4.", add_special_tokens=False)["input_ids"]
    bound = Likelihood(decoder.model, 4).bound(request.prompt, target)
    asked = requests("loglikelihood", ("What is 2 + 2?", "The answer is 4."))
    assert model(decoder).loglikelihood(asked) == [(bound, False)]
    raw = Decoder.of(decoder.model, Decoder.from_recipe(SHORT[0], [*SHORT[1:], "prompts.chat=false"]).recipe)
    both = decoder.model.tokenizer("Sort: 4 2 are")["input_ids"]
    first = decoder.model.tokenizer("Sort: 4 2")["input_ids"]
    expected = Likelihood(decoder.model, 4).bound(first, both[len(first) :])
    for context, continuation in (("Sort: 4 2", " are"), ("Sort: 4 2 ", "are")):  # a space belongs to the continuation
        assert model(raw).loglikelihood(requests("loglikelihood", (context, continuation))) == [(expected, False)]


def test_greedy_on_request(decoder: Decoder) -> None:
    one = Decoder.from_recipe(SLOW[0], [*SLOW[1:], "decode.gen_length=4", "decode.stop_rules=[]"])
    (result,) = one.decode(["Sort up: 4, 2, 9."], chat=True)
    text = one.text(result.generation) or ""
    again = one.model.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert again == result.generation
    asked = requests("loglikelihood", ("Sort up: 4, 2, 9.", text), ("Sort up: 4, 2, 9.", text + "!"))
    assert [greedy for _, greedy in model(one, greedy=True).loglikelihood(asked)] == [True, False]
    assert [greedy for _, greedy in model(one).loglikelihood(asked)] == [False, False]


def test_rolling_takes_long_texts_in_pieces(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def bound(self: Likelihood, prefix: list[int], target: list[int]) -> float:
        seen.append((len(prefix), len(target)))
        return -1.0

    monkeypatch.setattr(Likelihood, "bound", bound)
    limit = decoder.model.architecture.max_length
    words = "Sort up: 4, 2, 9. " * limit
    tokens = len(decoder.model.tokenizer(words)["input_ids"])
    assert tokens > 3 * limit
    short, long = model(decoder).loglikelihood_rolling(requests("loglikelihood_rolling", ("Sort up.",), (words,)))
    assert short == -1.0
    assert long == -(len(seen) - 1)
    assert seen[0][0] == 0
    assert sum(target for _, target in seen[1:]) == tokens
    assert all(prefix + target <= limit for prefix, target in seen)
    assert {prefix for prefix, _ in seen[2:]} == {limit // 2}


def test_too_long_a_request_is_named(decoder: Decoder) -> None:
    from dllmkit.errors import DllmkitError

    with pytest.raises(DllmkitError, match="tokens with its continuation, but the model has"):
        model(decoder).loglikelihood(requests("loglikelihood", ("x " * 5000, "y")))


def command(tasks: Path, *options: str) -> tuple[str, ...]:
    return ("lm-eval", *SHORT, "--tasks", TASKS, "--include_path", str(tasks), "--mc-samples", "4", *options)


def results(folder: Path) -> tuple[dict[str, Any], dict[str, dict[int, Any]]]:
    """The results of a run of the harness, and its samples by task and document."""
    (file,) = folder.rglob("results_*.json")
    samples = {}
    for path in folder.rglob("samples_*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        samples[path.name.rsplit("_", 1)[0]] = {one["doc_id"]: (one["filtered_resps"], one["doc"]) for one in lines}
    return json.loads(file.read_text())["results"], samples


def test_the_command(capsys: pytest.CaptureFixture[str], tasks: Path, tmp_path: Path) -> None:
    before = sys.argv
    outcome = call(capsys, *command(tasks, "--output_path", str(tmp_path / "out"), "--log_samples"))
    assert outcome.status == 0, outcome.err
    assert sys.argv is before
    assert "local_generate" in outcome.out
    found, samples = results(tmp_path / "out")
    assert found["local_generate"]["exact_match,none"] >= 0.5
    assert found["local_choose"]["acc,none"] == 1.0
    assert found["local_roll"]["word_perplexity,none"] > 1
    assert {name: len(documents) for name, documents in samples.items()} == {
        "samples_local_generate": 7, "samples_local_choose": 3, "samples_local_roll": 3,
    }  # fmt: skip
    limited = call(capsys, *command(tasks, "--limit", "1", "--tasks", "local_choose"))
    assert limited.status == 0


@pytest.mark.slow
def test_two_processes_of_torchrun(
    capsys: pytest.CaptureFixture[str], tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--log_samples", "--output_path")
    assert call(capsys, *command(tasks, *options, str(tmp_path / "one"))).status == 0
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29511", "-m", "dllmkit")
    done = python(*torchrun, *command(tasks, *options, str(tmp_path / "two")))
    assert done.status == 0, done.err
    assert done.out.count("local_generate") == 1  # one process speaks
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one[1] == two[1]
    for task, metrics in one[0].items():
        assert {k: v for k, v in metrics.items() if "stderr" not in k} == pytest.approx(
            {k: v for k, v in two[0][task].items() if "stderr" not in k}
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("baseline/tiny", "--tasks", "no_such_task"), "lm-eval: Tasks not found: no_such_task"),
        (("baseline/tiny",), "no task: give --tasks"),
        (("baseline/tinny", "--tasks", "x"), "did you mean 'baseline/tiny'?"),
        (("baseline/tiny", "decode.gen_len=3", "--tasks", "x"), "unknown key 'decode.gen_len'"),
        (("baseline/tiny", "--tasks", "x", "--batch_size", "4"), "--batch_size: the recipe says that"),
        (("baseline/tiny", "--tasks", "x", "--model", "hf"), "--model: the recipe says that"),
        (("baseline/tiny", "--tasks", "x", "--gen_kwargs", "temperature=1"), "--gen_kwargs temperature: the recipe says how"),
    ],
)  # fmt: skip
def test_mistakes_are_one_message(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    outcome = call(capsys, "lm-eval", *arguments)
    assert outcome.status == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_the_harness_applies_the_template_where_it_is_asked_to(
    decoder: Decoder, capsys: pytest.CaptureFixture[str], tasks: Path, tmp_path: Path
) -> None:
    """The same prompts either way: a question alone is the user's turn of the template."""
    by_recipe, by_harness = tmp_path / "recipe", tmp_path / "harness"
    generate = ("--tasks", "local_generate", "--log_samples", "--output_path")
    assert call(capsys, *command(tasks, *generate, str(by_recipe))).status == 0
    outcome = call(capsys, *command(tasks, "--apply_chat_template", *generate, str(by_harness)))
    assert outcome.status == 0, outcome.err
    assert results(by_recipe)[1] == results(by_harness)[1]
