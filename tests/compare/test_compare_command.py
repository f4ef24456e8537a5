"""`dllmkit compare`, as the shell sees it: what it writes, refuses, and takes up again."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from shell import call, ended, forked

from dllmkit.compare.folder import ANSWERS, REPORT, RESULTS, RUN

FAST = ("streaming+dsb", "fast_dllm/tiny")
COMMAND = ("compare", *FAST, "--task", "tiny", "--limit", "5", "--seed", "3")
TIMES = {"seconds", "tps", "tps_answer", "environments", "front"}


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


def untimed(value: Any) -> Any:
    """What a clock has no part in."""
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def answers(folder: Path) -> list[dict[str, Any]]:
    text = (folder / ANSWERS).read_text() if (folder / ANSWERS).exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def contents(folder: Path) -> dict[str, Any]:
    return {"results": untimed(json.loads((folder / RESULTS).read_text())), "answers": untimed(answers(folder))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that ran in one piece."""
    out = tmp_path_factory.mktemp("compare") / "out"
    assert ended(forked((*COMMAND, "--out", str(out)), out.parent / "printed.txt")) == 0
    return out


def test_what_it_leaves(finished: Path) -> None:
    from dllmkit.recipe import load_recipe

    assert {path.name for path in finished.iterdir()} == {RUN, ANSWERS, RESULTS, REPORT}
    results = json.loads((finished / RESULTS).read_text())
    assert [row["label"] for row in results["contenders"]] == list(FAST)
    assert [row["hash"] for row in results["contenders"]] == [load_recipe(name).hash for name in FAST]
    lines = answers(finished)
    assert [(line["contender"], line["result"]["index"]) for line in lines] == [
        (i, j) for i in (0, 1) for j in range(5)
    ]
    for i, row in enumerate(results["contenders"]):
        mine = [line for line in lines if line["contender"] == i]
        metrics = row["metrics"]
        assert metrics["nfe"] == sum(line["result"]["nfe"] for line in mine)
        assert metrics["query_tokens"] == sum(sum(line["result"]["query_lengths"]) for line in mine)
        assert metrics["seconds"] == pytest.approx(sum(line["seconds"] for line in mine))
        assert row["accuracy"]["right"] == sum(line["right"] for line in mine)
        assert sum(kind["problems"] for kind in row["kinds"].values()) == 5
    assert results["environments"][0]["versions"]["torch"]
    printed = (finished.parent / "printed.txt").read_text()
    assert "tiny: 5 problems; the first recipe is the reference" in printed
    assert f"report: {finished / REPORT}" in printed


def test_the_answers_are_those_of_eval(finished: Path) -> None:
    """Taking turns changes no token: the same problems decoded by a decoder alone."""
    from dllmkit import Decoder
    from dllmkit.evaluation.task import load_task

    decoder = Decoder.from_recipe(FAST[0])
    problems = load_task("tiny", limit=5, seed=3).problems
    alone = decoder.decode([problem.prompt for problem in problems], chat=True)
    mine = [line["result"] for line in answers(finished) if line["contender"] == 0]
    assert [one["tokens"] for one in mine] == [result.tokens for result in alone]
    assert [one["nfe"] for one in mine] == [result.nfe for result in alone]


def test_a_finished_comparison_is_only_printed_again(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.models import loading

    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    monkeypatch.delattr(loading, "load_network")
    again = call(capsys, *COMMAND, "--out", str(finished))
    assert (again.status, again.err) == (0, "")
    assert again.out == (finished.parent / "printed.txt").read_text()
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    (finished / REPORT).unlink()  # a report can be had again from the results
    as_json = call(capsys, *COMMAND, "--out", str(finished), "--json")
    assert json.loads(as_json.out)["task"]["problems"] == 5
    assert (finished / REPORT).read_bytes() == before[REPORT]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("compare", *FAST, "--task", "tiny", "--limit", "5", "--seed", "4"), "other problems"),
        (("compare", *FAST, "--task", "tiny:math", "--limit", "5", "--seed", "3"), "other problems"),
        (("compare", *FAST[::-1], "--task", "tiny", "--limit", "5", "--seed", "3"), "other recipes"),
        ((*COMMAND, "--set", "decode.seed=1"), "other recipes, or the same with other values"),
    ],
)
def test_another_command_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str], changed: tuple[str, ...], said: str
) -> None:
    outcome = call(capsys, *changed, "--out", str(finished))
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {finished} holds a run of {said}")
    assert outcome.err.endswith("choose another folder for --out\n")


def test_data_that_changed_between_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "out"
    data.write_text('{"prompt": "Sort: 3 1 2", "answer": "1 2 3"}\n{"prompt": "Sort: 9 8", "answer": "8 9"}\n')
    command = ("compare", *FAST, "--task", str(data), "--set", "decode.gen_length=32", "--out", str(out))
    assert call(capsys, *command).status == 0
    (out / RESULTS).unlink()
    data.write_text(data.read_text().replace("9 8", "9 7"))
    outcome = call(capsys, *command)
    assert outcome.status == 2
    assert "other problems: the task, its data or matcher, --limit or --seed is not what it was" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("baseline/tiny", "--task", "tiny"), "compare needs at least two recipes; dllmkit eval measures one"),
        (("baseline/tiny", "baseline/tiny", "--task", "tiny"), "baseline/tiny is the same recipe as baseline/tiny"),
        (("baseline/tiny", "baseline/tini", "--task", "tiny"), "did you mean 'baseline/tiny'?"),
        ((*FAST, "--task", "tinny"), "there is no task 'tinny': did you mean 'tiny'?"),
        ((*FAST, "--task", "tiny", "--set", "decode.gen_lenght=3"), "did you mean 'gen_length'?"),
    ],
)
def test_mistakes_are_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    outcome = call(capsys, "compare", *arguments, "--out", str(tmp_path / "out"))
    assert (outcome.status, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.txt").write_text("mine")
    outcome = call(capsys, *COMMAND, "--out", str(tmp_path))
    assert outcome.status == 2
    assert "is not empty and holds no comparison or sweep of dllmkit" in outcome.err


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = Path(__file__).resolve().parents[1] / "golden" / "llada-100"
    outcome = call(capsys, *COMMAND, "--set", f"model.path={golden}", "--out", str(tmp_path / "out"))
    assert outcome.status == 2
    assert "the checkpoint has no tokenizer: its answers cannot be judged" in outcome.err


def test_weights_that_changed_between_the_runs(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (RUN, ANSWERS):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    run = json.loads((tmp_path / RUN).read_text())
    run["weights"][0] = "another"
    (tmp_path / RUN).write_text(json.dumps(run))
    outcome = call(capsys, *COMMAND, "--out", str(tmp_path))
    assert outcome.status == 2
    assert "holds a run of another model, or the same in another dtype" in outcome.err


def test_results_of_another_version_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (RUN, ANSWERS, RESULTS):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    results = json.loads((tmp_path / RESULTS).read_text())
    (tmp_path / RESULTS).write_text(json.dumps({**results, "schema": 0}))
    outcome = call(capsys, *COMMAND, "--out", str(tmp_path))
    assert outcome.status == 2
    assert f"{tmp_path / RESULTS} has schema 0, expected 1" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_random_moments(tmp_path: Path, finished: Path, number: signal.Signals) -> None:
    """Whatever ends it, the same command goes on, loses and doubles nothing, and ends with the files of one piece."""
    command, cut = (*COMMAND, "--out", str(tmp_path / "cut")), tmp_path / "cut"
    chance = random.Random(int(number))
    kept: set[tuple[int, int]] = set()
    for attempt in range(40):
        child = forked(command, tmp_path / f"{attempt}.txt")
        if attempt == 0:  # while it begins
            time.sleep(chance.uniform(0.02, 0.2))
        else:
            wait_for(cut, len(kept) + chance.randint(1, 3), child)
            time.sleep(chance.uniform(0, 0.03))
        os.kill(child, number)  # not reaped yet, so it is ours even if it has ended
        status = ended(child)
        assert "Traceback" not in (tmp_path / f"{attempt}.txt").read_text()
        keys = [(line["contender"], line["result"]["index"]) for line in answers(cut)]
        assert len(keys) == len(set(keys))  # none doubled
        assert kept <= set(keys)  # none lost
        kept = set(keys)
        if status == 0:
            break
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
        if len(kept) >= 8:  # towards the end: let it finish
            assert ended(forked(command, tmp_path / "last.txt")) == 0
            break
    assert attempt >= 2
    assert contents(cut) == contents(finished)


def test_a_full_disk_is_one_message_and_no_loss(tmp_path: Path, finished: Path) -> None:
    """The system refuses to let a file grow, in the middle of an answer's line; later the same command goes on."""
    import resource

    out = tmp_path / "out"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = sum(len(line) + 1 for line in (finished / ANSWERS).read_text().splitlines()[:3]) + 500
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        child = forked((*COMMAND, "--out", str(out)), tmp_path / "first.txt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ended(child) == 2
    assert (tmp_path / "first.txt").read_text() == f"error: {out} cannot be written: File too large\n"
    kept = answers(out)
    assert kept
    assert ended(forked((*COMMAND, "--out", str(out)), tmp_path / "second.txt")) == 0
    assert all(answer in answers(out) for answer in kept)
    assert contents(out) == contents(finished)


def wait_for(folder: Path, n: int, child: int) -> None:
    """Wait until `n` answers are finished, or the process has ended."""
    while len(answers(folder)) < n and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)


def test_an_interruption_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dllmkit.compare.folder import CompareFolder

    real = CompareFolder.add

    def add(folder: CompareFolder, answer: Any) -> None:
        real(folder, answer)
        if len(folder.answers) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(CompareFolder, "add", add)
    out = tmp_path / "out"
    outcome = call(capsys, *COMMAND, "--out", str(out))
    assert outcome.status == 143
    assert outcome.err == f"terminated: 3 of 10 answers are finished; the same command continues in {out}\n"
