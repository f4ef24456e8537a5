"""`dllmkit eval`, as the shell sees it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from evaluating import SHORT, command, lines, untimed
from shell import call

from dllmkit import Decoder
from dllmkit.evaluation.statistics import wilson
from dllmkit.observe.metrics import DEFINITIONS
from dllmkit.recipe import load_recipe
from dllmkit.tiny.problems import check, evaluation_set


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation in one piece."""
    from dllmkit.cli.eval import evaluate

    folder = tmp_path_factory.mktemp("eval") / "whole"
    evaluate(SHORT[0], SHORT[1:], "tiny", limit=7, out=str(folder), as_json=True)
    return folder


def test_samples_are_what_the_decoder_says(whole: Path) -> None:
    problems = evaluation_set(7, 0)
    results = Decoder.from_recipe(SHORT[0], SHORT[1:]).decode([p.prompt for p in problems], chat=True)
    records = lines(whole / "samples.jsonl")
    assert [r["index"] for r in records] == list(range(7))
    for record, problem, result in zip(records, problems, results, strict=True):
        assert record["text"] == result.text
        assert record["correct"] is check(problem, result.text or "")
        assert record["kind"] == problem.kind
        assert record["generation"] == result.generation
        assert (record["nfe"], record["query_tokens"], record["attended"]) == (
            result.nfe, result.query_tokens, result.attended,
        )  # fmt: skip
        assert record["tpf"] == result.n_committed / result.nfe
        assert "seconds" not in record


def test_the_summary_adds_up(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    records = lines(whole / "samples.jsonl")
    right = sum(r["correct"] for r in records)
    assert right > 0
    assert summary["metrics"]["accuracy"] == right / 7
    assert summary["metrics"]["nfe"] == sum(r["nfe"] for r in records)
    assert summary["metrics"]["flops"] is None
    assert summary["metrics"]["seconds"] == max(t["run_seconds"] for t in lines(whole / "timings.jsonl"))
    assert summary["definitions"] == DEFINITIONS
    assert summary["metrics"].keys() == DEFINITIONS.keys()
    everything = summary["accuracy"].pop("all")
    assert everything["interval"] == list(wilson(right, 7))
    assert summary["accuracy"].keys() == {"math", "sort", "json", "spell", "dates"}
    assert sum(kind["right"] for kind in summary["accuracy"].values()) == right
    recipe = load_recipe(SHORT[0], SHORT[1:])
    assert (summary["recipe"], summary["recipe_hash"]) == (recipe.resolved, recipe.hash)
    assert summary["environment"]["versions"]["torch"]
    assert summary["published"] is None
    assert load_recipe(whole / "recipe.yaml").hash == recipe.hash


def test_a_finished_evaluation_is_only_printed_again(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.models.model import DiffusionModel

    monkeypatch.delattr(DiffusionModel, "forward")
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in whole.iterdir()}
    outcome = call(capsys, *command("--out", str(whole), "--json"))
    assert (outcome.status, outcome.err) == (0, "")
    assert json.loads(outcome.out) == json.loads((whole / "summary.json").read_text())
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in whole.iterdir()} == before


def test_with_and_without_a_folder_in_any_batch(
    whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    alone = json.loads(call(capsys, *command("--json")).out)
    summary = json.loads((whole / "summary.json").read_text())
    assert untimed(alone) == untimed(summary)
    options = ("runtime.batch_size=3", "--json", "--out", str(out))
    batched = json.loads(call(capsys, *command(*options)).out)
    assert (out / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    assert batched["accuracy"] == summary["accuracy"]


def test_for_people(whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    out = call(capsys, *command("--out", str(whole))).out
    scores = json.loads((whole / "summary.json").read_text())["accuracy"]["all"]
    assert f"{scores['accuracy']:.1%}" in out
    assert f"{scores['right']}/7" in out
    for name, definition in DEFINITIONS.items():
        assert any(line.startswith(name) and definition[:30] in line for line in out.splitlines())
    assert "flops          not measured" in out
    assert "the recipe states no figures of its authors" in out


def test_published_figures_stand_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    bundled = ("model.path=dllmkit/tiny", "decode.gen_length=32", "decode.context_window.window=16")
    options = ("eval", "streaming/dream.gsm8k-256", *bundled, "--task", "tiny", "--limit", "1")
    out = call(capsys, *options).out
    assert "arXiv 2601.17917" in out
    assert "accuracy: theirs 74.0%, ours on tiny 0.0%" in out
    assert "speed-up over vanilla: theirs 8.40, ours on tiny not measured" in out
    changed = "decode.gen_length, decode.context_window.window"
    assert f"overrides changed what is decoded, so this is another run than theirs: {changed}" in out
    figures = json.loads(call(capsys, *options, "--json").out)["published"]
    assert (figures["accuracy"], figures["tps"]) == (0.74, 75.5)


def test_a_local_file_and_a_function(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "judge.py").write_text("def polite(text, problem):\n    return problem.answer in text\n")
    monkeypatch.syspath_prepend(tmp_path)
    task = tmp_path / "task.jsonl"
    task.write_text('{"prompt": "Spell \\"egg\\" and write it backwards.", "answer": "e-g-g", "kind": "spell"}\n')
    options = ("eval", *SHORT, "--task", str(task), "--matcher", "judge:polite", "--json")
    summary = json.loads(call(capsys, *options).out)
    assert summary["task"]["matcher"] == "judge:polite"
    assert summary["accuracy"].keys() == {"all"}
    out = ("--out", str(tmp_path / "out"))
    assert call(capsys, *options, *out).status == 0
    task.write_text(task.read_text().replace("egg", "cat"))
    outcome = call(capsys, *options, *out)
    assert outcome.status == 2
    assert "other problems: another --limit or --seed, or the data have changed since" in outcome.err


def test_killed_between_the_last_sample_and_the_summary(
    whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    (tmp_path / "out" / "summary.json").unlink()
    assert call(capsys, *command("--out", str(tmp_path / "out"))).status == 0
    for name in ("samples.jsonl", "timings.jsonl", "recipe.yaml", "summary.json"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("baseline/tiny", "--task", "tinny"), "did you mean 'tiny'?"),
        (("baseline/tinny", "--task", "tiny"), "did you mean 'baseline/tiny'?"),
        (("baseline/tiny", "--task", "humaneval"), "allow it with --execute-code"),
        (("baseline/tiny", "decode.gen_length=5000", "--task", "tiny"), "task tiny: prompt 0 has"),
        (("baseline/tiny", "--task", "tiny", "--matcher", "x"), "there is no matcher 'x'"),
        (("baseline/tiny", "--task", "tiny", "--limit", "1", "--out", "/dev/null/x"), "/dev/null/x cannot be written"),
    ],
)
def test_mistakes_are_one_message(capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str) -> None:
    outcome = call(capsys, "eval", *options)
    assert outcome.status == 2
    assert outcome.out == ""
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "said"), [(KeyboardInterrupt, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_says_what_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, status: int, said: str
) -> None:  # fmt: skip
    from dllmkit.evaluation.folder import Writer

    real = Writer.add

    def add(writer: Writer, sample: Any, timing: Any) -> None:
        real(writer, sample, timing)
        if sample.index == 1:
            if error is KeyboardInterrupt:
                raise KeyboardInterrupt
            os.kill(os.getpid(), error)

    monkeypatch.setattr(Writer, "add", add)
    out = tmp_path / "out"
    outcome = call(capsys, *command("--out", str(out)))
    assert outcome.status == status
    assert outcome.err.startswith(f"{said}: ")
    assert outcome.err.endswith(f" of 7 problems are finished; the same command continues in {out}\n")
    assert not (out / "summary.json").exists()
    assert len(lines(out / "samples.jsonl")) == 2


def test_a_sample_is_counted_only_when_it_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle: one message, and the same command goes on where there is room again."""
    from dllmkit.evaluation import folder

    real, left = folder.append, [5]

    def append(file: Any, record: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(file, record)

    monkeypatch.setattr(folder, "append", append)
    out = tmp_path / "out"
    outcome = call(capsys, *command("--out", str(out)))
    assert (outcome.status, outcome.err) == (2, f"error: {out} cannot be written: No space left on device\n")
    assert len(lines(out / "samples.jsonl")) == 2
    monkeypatch.undo()
    assert call(capsys, *command("--out", str(out))).status == 0
    assert [r["index"] for r in lines(out / "samples.jsonl")] == list(range(7))
    assert json.loads((out / "summary.json").read_text())["sessions"] == 2
