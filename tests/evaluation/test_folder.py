"""The folder of an evaluation: nothing finished is lost or doubled, whatever was cut off, and nothing changes afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.folder import RUN, SAMPLES, SUMMARY, TIMINGS, EvaluationFolder, Writer
from dllmkit.evaluation.problem import Problem
from dllmkit.evaluation.sample import Sample, Timing, decode_seconds

PROBLEMS = [Problem(f"p{i}", "?", "a", "all") for i in range(6)]
IDENTITY = {"recipe_hash": "r", "task": "t", "matcher": "exact", "task_digest": "d", "weights": "w"}


def opened(path: Path, **changed: Any) -> EvaluationFolder:
    return EvaluationFolder.open(path, {**IDENTITY, **changed}, "model: {}\n", PROBLEMS, {"weights": "w"})


def sample(index: int) -> Sample:
    return Sample(
        index, f"p{index}", "all", index % 2 == 0, "text", 3, 2, 10, 100, 8, 5, 4.0, 2.5, "eos", [1, 2], [0, 1]
    )  # fmt: skip


def write(path: Path, rank: int, *indices: int, session: int = 1) -> None:
    pen = Writer.open(path, rank)
    for seconds, index in enumerate(indices, 1):
        pen.add(sample(index), Timing(index, 0.5, float(seconds), session, rank))
    pen.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_from_start_to_end(tmp_path: Path) -> None:
    folder = opened(tmp_path / "new" / "run")
    write(folder.path, 0, 2, 0, 1)
    summary = folder.complete({"accuracy": 1})
    folder.close()
    assert {file.name for file in folder.path.iterdir()} == {RUN, "recipe.yaml", SAMPLES, TIMINGS, SUMMARY}
    assert [line["index"] for line in lines(folder.path / SAMPLES)] == [0, 1, 2]
    assert [line["index"] for line in lines(folder.path / TIMINGS)] == [0, 1, 2]
    assert json.loads((folder.path / SUMMARY).read_text()) == summary
    again = opened(folder.path)
    assert again.summary() == summary
    assert again.samples == {index: sample(index) for index in range(3)}


def test_the_parts_of_all_processes_are_collected(tmp_path: Path) -> None:
    opened(tmp_path).close()
    write(tmp_path, 0, 0, 2)
    write(tmp_path, 1, 1, 3)
    write(tmp_path, 11, 4)
    again = opened(tmp_path)
    assert set(again.samples) == set(again.timings) == {0, 1, 2, 3, 4}
    assert again.timings[4].rank == 11
    assert again.session == 2
    assert not list(tmp_path.glob("*.rank*"))


def test_every_moment_of_collecting_can_be_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any number of file operations, the next session finds every sample once."""
    opened(tmp_path / "whole").close()
    write(tmp_path / "whole", 0, 0, 2)
    write(tmp_path / "whole", 1, 1, 3)
    real = {name: getattr(Path, name) for name in ("replace", "unlink")}
    for survived in range(7):
        cut = tmp_path / f"cut{survived}"
        shutil.copytree(tmp_path / "whole", cut)
        left = [survived]

        def limited(name: str, left: list[int] = left) -> Any:
            def operation(path: Path, *arguments: Any) -> Any:
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                return real[name](path, *arguments)

            return operation

        for name in real:
            monkeypatch.setattr(Path, name, limited(name))
        interrupted = False
        try:
            opened(cut).close()
        except KeyboardInterrupt:
            interrupted = True
        monkeypatch.undo()
        assert interrupted == (survived < 5)  # recipe, samples and timings replaced, then two parts unlinked
        folder = opened(cut)
        assert sorted(folder.samples) == [0, 1, 2, 3]
        assert len(lines(cut / SAMPLES)) == len(lines(cut / TIMINGS)) == 4
        folder.close()


def test_torn_lines_are_decoded_again(tmp_path: Path) -> None:
    opened(tmp_path).close()
    write(tmp_path, 0, 0, 1)
    whole = (tmp_path / SAMPLES).read_bytes()
    first = whole.index(b"\n") + 1
    for cut in {*range(first, len(whole), 17), len(whole) - 1}:
        (tmp_path / SAMPLES).write_bytes(whole[:cut])
        folder = opened(tmp_path)
        assert set(folder.samples) == set(folder.timings) == {0}
        folder.close()
        assert (tmp_path / SAMPLES).read_bytes() == whole[:first]
        write(tmp_path, 0, 1)


def test_other_evaluations_are_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for key, said in {
        "recipe_hash": "another recipe or other overrides", "task": "another task", "matcher": "another matcher",
        "task_digest": "other problems: another --limit or --seed, or the data have changed since",
        "weights": "another model",
    }.items():  # fmt: skip
        with pytest.raises(DllmkitError, match=f"holds an evaluation of {said}"):
            opened(tmp_path, **{key: "x"})
    opened(tmp_path).close()


def test_a_complete_evaluation_is_immutable(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    write(tmp_path, 0, *range(6))
    folder.complete({})
    folder.close()
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    opened(tmp_path).close()
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()} == before
    (tmp_path / SAMPLES).write_text((tmp_path / SAMPLES).read_text().replace("false", "true"))
    with pytest.raises(DllmkitError, match=r"samples\.jsonl was changed after the evaluation was complete"):
        opened(tmp_path)


def test_foreign_lines_and_folders(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / SAMPLES).write_text('{"index": 6}\n')
    with pytest.raises(DllmkitError, match="a line of no problem of this task"):
        opened(tmp_path)
    (tmp_path / SAMPLES).write_text('{"index": 1}\n')
    (tmp_path / TIMINGS).write_text('{"index": 1}\n')
    with pytest.raises(DllmkitError, match="was not written by this version of dllmkit"):
        opened(tmp_path)
    write(tmp_path, 1, 2)
    (tmp_path / SAMPLES).unlink()
    (tmp_path / TIMINGS).unlink()
    part = next(tmp_path.glob("timings.rank1.jsonl"))
    part.write_text(part.read_text().replace('"rank"', '"range"'))
    with pytest.raises(DllmkitError, match=r"timings\.jsonl was not written by this version of dllmkit"):
        opened(tmp_path)
    (tmp_path / SAMPLES).write_text("[]\n")
    with pytest.raises(DllmkitError, match=r"samples\.jsonl, line 1 is damaged"):
        opened(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(DllmkitError, match="not empty and holds no evaluation of dllmkit"):
        opened(tmp_path / "other")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    with pytest.raises(DllmkitError, match="is being written by another dllmkit run"):
        opened(tmp_path)
    folder.close()
    opened(tmp_path).close()


def test_a_full_disk_is_a_message(tmp_path: Path) -> None:
    opened(tmp_path).close()
    pen = Writer.open(tmp_path, 0)
    pen.samples.close()
    pen.samples = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(DllmkitError, match="cannot be written: No space left on device"):
        pen.add(sample(0), Timing(0, 0.5, 0.5, 1, 0))


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_unwritable(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DllmkitError, match=r"cannot be written: (File exists|Not a directory)"):
        opened(tmp_path / where)


def test_seconds_are_those_of_the_slowest_process_of_each_session() -> None:
    timings = [Timing(0, 1, 3.0, 1, 0), Timing(1, 1, 5.0, 1, 1), Timing(2, 1, 1.0, 2, 0), Timing(3, 1, 2.0, 1, 0)]
    assert decode_seconds(timings) == 6.0
    assert decode_seconds([]) is None
