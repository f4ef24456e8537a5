"""The folder of a run: nothing finished is lost or doubled, whatever was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dllmkit.errors import DllmkitError
from dllmkit.result import Result
from dllmkit.rundir import METRICS, RECIPE, RESULTS, RUN, TRACE, RunFolder, write_atomically

PROMPTS = ["a", "b", [1, 2]]


def result(index: int) -> Result:
    return Result(index, f"text {index}", [1, 2, 3], 1, 2, 2, [3, 3], [3, 3], [0, 1], [0.5, None], "complete", 0.25, 2)


def opened(path: Path, recipe: str = "hash", prompts: list[object] | None = None, weights: str = "1234") -> RunFolder:
    chosen = PROMPTS if prompts is None else prompts
    return RunFolder.open(path, recipe, "model: {}\n", chosen, {"weights": weights})


def filled(path: Path, *indices: int) -> RunFolder:
    """A folder in which rows are finished, two trace lines each."""
    folder = opened(path)
    for seconds, index in enumerate(indices, 1):
        for step in range(2):
            folder.trace.write(json.dumps({"row": index, "step": step}) + "\n")
        folder.add(result(index), float(seconds))
    return folder


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    folder = filled(tmp_path / "new" / "run", 2, 0, 1)
    folder.close({"nfe": 3})
    path = folder.path
    assert {file.name for file in path.iterdir()} == {RECIPE, RUN, RESULTS, TRACE, METRICS}
    assert (path / RECIPE).read_text() == "model: {}\n"
    assert json.loads((path / RUN).read_text())["environment"] == {"weights": "1234"}
    assert json.loads((path / METRICS).read_text()) == {"nfe": 3}
    assert [line["index"] for line in lines(path / RESULTS)] == [0, 1, 2]
    assert [(line["row"], line["step"]) for line in lines(path / TRACE)] == [(r, s) for r in range(3) for s in range(2)]


def test_continuing_returns_what_is_finished(tmp_path: Path) -> None:
    filled(tmp_path, 1, 0).close()
    again = opened(tmp_path)
    assert again.finished == {0: result(0), 1: result(1)}
    assert again.seconds == 2.0
    again.add(result(2), 5.0)
    again.close({})
    assert [line["index"] for line in lines(tmp_path / RESULTS)] == [0, 1, 2]
    assert not (tmp_path / RESULTS).with_suffix(".partial").exists()


def test_without_close_everything_added_is_there(tmp_path: Path) -> None:
    folder = filled(tmp_path / "a", 0, 1)
    copy = tmp_path / "b"  # what a killed process leaves: the files as they are on disk, without a close
    copy.mkdir()
    for file in folder.path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    again = opened(copy)
    assert set(again.finished) == {0, 1}
    assert len(lines(copy / TRACE)) == 4
    folder.close()
    again.close()


def test_a_torn_last_result_is_decoded_again(tmp_path: Path) -> None:
    filled(tmp_path, 0, 1).close()
    whole = (tmp_path / RESULTS).read_bytes()
    first = whole.index(b"\n") + 1
    for cut in {*range(first, len(whole), 9), len(whole) - 1}:
        (tmp_path / RESULTS).write_bytes(whole[:cut])
        folder = opened(tmp_path)
        assert set(folder.finished) == {0}
        folder.close()
        assert (tmp_path / RESULTS).read_bytes() == whole[:first]
        assert {line["row"] for line in lines(tmp_path / TRACE)} == {0}
        with (tmp_path / TRACE).open("a") as trace:
            trace.write('{"row": 1, "step": 0}\n{"row": 1, "st')  # the torn trace of the row that starts again


def test_steps_of_unfinished_rows_are_dropped(tmp_path: Path) -> None:
    folder = filled(tmp_path, 0)
    folder.trace.write('{"row": 2, "step": 0}\n')
    folder.close()
    opened(tmp_path).close()
    assert [line["row"] for line in lines(tmp_path / TRACE)] == [0, 0]


def test_killed_before_the_folder_was_complete(tmp_path: Path) -> None:
    (tmp_path / (RUN + ".partial")).write_text('{"recipe')
    folder = opened(tmp_path)
    folder.close({})
    (tmp_path / RECIPE).unlink()  # killed between run.json and recipe.yaml
    opened(tmp_path).close({})
    assert {file.name for file in tmp_path.iterdir()} == {RECIPE, RUN, RESULTS, TRACE, METRICS}


def test_other_runs_are_refused(tmp_path: Path) -> None:
    filled(tmp_path, 0).close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DllmkitError, match="holds a run of another recipe or other overrides: choose another folder"):
        opened(tmp_path, recipe="other")
    with pytest.raises(DllmkitError, match="holds a run of other prompts"):
        opened(tmp_path, prompts=["a"])
    with pytest.raises(DllmkitError, match="holds a run of another model, or the same in another dtype"):
        opened(tmp_path, weights="5678")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(DllmkitError, match="not empty and holds no run of dllmkit"):
        opened(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / RUN).write_text("[]")
    with pytest.raises(DllmkitError, match=r"run\.json is not a run of dllmkit: expected a JSON object"):
        opened(tmp_path)
    (tmp_path / RUN).write_text("{")
    with pytest.raises(DllmkitError, match=r"run\.json is not a run of dllmkit"):
        opened(tmp_path)


def test_damaged_and_foreign_lines_are_named(tmp_path: Path) -> None:
    filled(tmp_path, 0, 1).close()
    whole = (tmp_path / RESULTS).read_text()
    (tmp_path / RESULTS).write_text("?" + whole)
    with pytest.raises(DllmkitError, match=r"results\.jsonl, line 1 is damaged"):
        opened(tmp_path)
    (tmp_path / RESULTS).write_text(whole.replace('"nfe"', '"nef"'))
    with pytest.raises(DllmkitError, match=r"results\.jsonl was not written by this version of dllmkit: .*nef"):
        opened(tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    with pytest.raises(DllmkitError, match="is being written by another dllmkit run"):
        opened(tmp_path)
    folder.close()
    opened(tmp_path).close()


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_unwritable(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DllmkitError, match=r"cannot be written: (File exists|Not a directory)"):
        opened(tmp_path / where)


def test_a_full_disk_is_a_message(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder._files[RESULTS].close()
    folder._files[RESULTS] = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(DllmkitError, match="cannot be written: No space left on device"):
        folder.add(result(0), 1.0)
    assert folder.finished == {}


def test_an_atomic_write_leaves_the_old_text_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_atomically(file, "old")

    def interrupted(number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dllmkit.journal.sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, "new")
    assert file.read_text() == "old"
