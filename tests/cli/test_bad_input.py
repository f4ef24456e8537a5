"""What a user can get wrong is one message and status 2, never a traceback."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from shell import ROOT, Outcome, call

GOLDEN = ROOT / "tests" / "golden" / "llada-100"


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    pass


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command; return the message, which must be all that it says."""
    outcome: Outcome = call(capsys, "run", *arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.err.startswith("error: ")
    return outcome.err.removeprefix("error: ").rstrip("\n")


def one_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    message = refused(capsys, *arguments)
    assert "\n" not in message
    return message


def ids(folder: Path, *prompts: list[int]) -> str:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    return str(file)


def test_recipes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    assert "no recipe file or recipe of this name" in one_line(capsys, str(tmp_path / "gone.yaml"), "--prompt", "a")
    for text, message in (
        ("decode: [", "malformed YAML"),
        ("- 1", "expected a mapping"),
        ("decode: {gen_lenth: 3}", "did you mean 'gen_length'"),
        ("decode: {gen_length: many}", "decode.gen_length"),
        ("decode: {unmask_selector: {name: treshold}}", "did you mean 'threshold'"),
    ):
        file.write_text(text)
        assert message in one_line(capsys, str(file), "--prompt", "a")
    file.write_bytes(b"model: {path: \xff}")
    assert "not UTF-8" in one_line(capsys, str(file), "--prompt", "a")


def test_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    def given(override: str) -> str:
        return one_line(capsys, "baseline/tiny", override, "--prompt", "a")

    assert "decode.gen_length = 0, expected >= 1" in given("decode.gen_length=0")
    assert "decode.gen_length" in given("decode.gen_length=ten")
    assert "did you mean 'decode.seed'" in given("decode.sed=1") or "did you mean 'seed'" in given("decode.sed=1")
    both = refused(capsys, "baseline/tiny", "decode.gen_length=0", "runtime.batch_size=0", "--prompt", "a").splitlines()
    assert both[0].endswith("2 problems")
    assert [line[:4] for line in both[1:]] == ["  - ", "  - "]


def test_a_bad_recipe_is_said_without_reading_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "decode.gen_length" in one_line(capsys, "baseline/tiny", "decode.gen_length=0")


def test_models(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ids(tmp_path, [5, 6])
    folder = tmp_path / "model"

    def given(path: object) -> str:
        return one_line(capsys, "baseline/tiny", f"model.path={path}", "--prompts", prompts)

    assert "no folder" in given(tmp_path / "gone")
    folder.mkdir()
    assert "holds no config.json" in given(folder)
    shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors is damaged or cut off" in given(folder)
    weights.write_bytes(b"")
    assert "model.safetensors is damaged or cut off" in given(folder)
    weights.unlink()
    assert "holds no weights" in given(folder)
    weights.write_bytes(whole)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config[:40])
    assert "cannot be read as JSON" in given(folder)
    (folder / "config.json").write_text(config.replace('"LLaDAModelLM"', '"Other"').replace('"llada"', '"other"'))
    assert "no model family recognises this checkpoint" in given(folder)


def test_a_model_that_does_not_fit_into_memory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dllmkit.models.weights.free_bytes", lambda device: 1000)
    message = one_line(capsys, "baseline/tiny", f"model.path={GOLDEN}", "--prompts", ids(tmp_path, [5]))
    assert "does not fit into memory" in message
    assert "MiB" in message


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes")]
)
def test_memory_that_ends_while_decoding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from dllmkit.models.model import DiffusionModel

    def forward(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(DiffusionModel, "forward", forward)
    message = one_line(capsys, "baseline/tiny", f"model.path={GOLDEN}", "--prompts", ids(tmp_path, [5]))
    assert message.startswith("out of memory while decoding")
    assert "try a smaller runtime.batch_size" in message


def test_a_bug_is_not_taken_for_a_mistake_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dllmkit.cli import main
    from dllmkit.models.model import DiffusionModel

    def forward(*arguments: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(DiffusionModel, "forward", forward)
    with pytest.raises(RuntimeError, match="mat1"):
        main(["run", "baseline/tiny", f"model.path={GOLDEN}", "--prompts", ids(tmp_path, [5])])


def test_prompts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    golden = ("baseline/tiny", f"model.path={GOLDEN}", "decode.gen_length=16", "prompts.chat=false")
    assert "prompt 0 is empty" in one_line(capsys, *golden, "--prompt", "")
    assert "prompt 1 is empty" in one_line(capsys, *golden, "--prompt", "a", "--prompt", " ")
    assert "not valid Unicode text" in one_line(capsys, *golden, "--prompt", "caf\udce9")
    assert "has no tokenizer: give prompts as lists of token ids" in one_line(capsys, *golden, "--prompt", "text")
    assert "expected 0 to" in one_line(capsys, *golden, "--prompts", ids(tmp_path, [5], [10**9]))
    assert "positions" in one_line(capsys, *golden, "--prompts", ids(tmp_path, [5] * 5000))
    assert "prompt 1 is empty" in one_line(capsys, *golden, "--prompts", ids(tmp_path, [5], []))
    assert "no such file" in one_line(capsys, *golden, "--prompts", str(tmp_path / "gone.txt"))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "is not UTF-8: byte 0xe9 in line 1" in one_line(capsys, *golden, "--prompts", str(tmp_path / "latin.txt"))
    long = "word " * 600
    assert "positions" in one_line(capsys, "baseline/tiny", "--prompt", long)


def test_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    golden = ("baseline/tiny", f"model.path={GOLDEN}", "decode.gen_length=16", "--prompts", ids(tmp_path, [5]))
    (tmp_path / "file").write_text("x")
    assert "cannot be written: File exists" in one_line(capsys, *golden, "--out", str(tmp_path / "file"))
    assert "cannot be written: " in one_line(capsys, *golden, "--out", "/proc/dllmkit")
    assert "is not empty and holds no run of dllmkit" in one_line(capsys, *golden, "--out", str(tmp_path))
    assert call(capsys, "run", *golden, "--out", str(tmp_path / "run")).status == 0
    before = {file: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    message = one_line(capsys, *golden, "decode.seed=1", "--out", str(tmp_path / "run"))
    assert "holds a run of another recipe or other overrides" in message
    ids(tmp_path, [6])
    assert "holds a run of other prompts" in one_line(capsys, *golden, "--out", str(tmp_path / "run"))
    assert {file: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_nothing_is_written_for_a_prompt_that_cannot_be_decoded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    golden = ("baseline/tiny", f"model.path={GOLDEN}", "--prompts", ids(tmp_path, [5], [10**9]))
    one_line(capsys, *golden, "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
