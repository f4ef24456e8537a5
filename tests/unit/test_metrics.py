"""The figures of a run, by their definitions."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dllmkit.observe import metrics as module
from dllmkit.observe.metrics import DEFINITIONS, Metrics, environment, fingerprint, git_commit
from dllmkit.result import Result


def result(index: int, nfe: int, filled: int) -> Result:
    """Three tokens of answer, an end, and `filled` positions that a stop rule filled."""
    steps = [0, 0, 1, nfe - 1] + [-1] * filled
    return Result(
        index=index, text=None, tokens=[9, 1, 2, 3] + [0] * (1 + filled), prompt_length=1, nfe=nfe, n_committed=4,
        query_lengths=[5] + [2] * (nfe - 1), visible_lengths=[5] * nfe, commit_step=steps,
        confidence=[0.5] * 4 + [None] * filled, stop_reason="eos", seconds=1.0, answer_length=3,
    )  # fmt: skip


def model(norm: float = 1.0, head: float = 1.0, query: float = 1.0) -> SimpleNamespace:
    """What `environment` reads of a model."""

    def layer(value: float) -> SimpleNamespace:
        return SimpleNamespace(weight=torch.full((4, 4), value, dtype=torch.bfloat16))

    attention = SimpleNamespace(self_attn=SimpleNamespace(q_proj=layer(query)))
    network = SimpleNamespace(model=SimpleNamespace(norm=layer(norm), layers=[attention]), lm_head=layer(head))
    family = SimpleNamespace(family="llada")
    return SimpleNamespace(device="cpu", dtype="torch.bfloat16", architecture=family, network=network)


def test_the_sums_and_ratios() -> None:
    metrics = Metrics.of([result(0, nfe=3, filled=2), result(1, nfe=2, filled=0)], seconds=4.0)
    assert metrics.as_dict() == {
        "prompts": 2, "nfe": 5, "query_tokens": (5 + 2 + 2) + (5 + 2), "attended": 25 + 10 + 10 + 25 + 10, "tokens": 8,
        "answer_tokens": 6, "tpf": 8 / 5, "tpf_answer": 6 / 5, "seconds": 4.0, "tps": 2.0, "tps_answer": 1.5,
        "flops": None, "accuracy": None,
    }  # fmt: skip
    judged = Metrics.of([result(0, nfe=3, filled=2), result(1, nfe=2, filled=0)], None, flops=7, right=1)
    assert (judged.flops, judged.accuracy, judged.tps) == (7, 0.5, None)


def test_what_was_not_measured_is_none() -> None:
    metrics = Metrics.of([result(0, nfe=2, filled=0)], seconds=None)
    assert (metrics.seconds, metrics.tps, metrics.tps_answer) == (None, None, None)
    empty = Metrics.of([], seconds=0.0)
    assert (empty.nfe, empty.tpf, empty.tps) == (0, None, None)
    assert Metrics.of([], None, right=0).accuracy is None


def test_every_figure_has_a_definition() -> None:
    assert set(DEFINITIONS) == {field.name for field in dataclasses.fields(Metrics)}


def test_environment() -> None:
    assert environment()["versions"].keys() >= {"torch", "transformers", "numpy"}
    described = environment(model())
    assert (described["device"], described["dtype"], described["family"]) == ("cpu", "torch.bfloat16", "llada")
    assert described["weights"] == fingerprint(model())


@pytest.mark.parametrize("changed", ["norm", "head", "query"])
def test_the_fingerprint_tells_trainings_apart(changed: str) -> None:
    assert fingerprint(model()) == fingerprint(model())
    assert fingerprint(model()) != fingerprint(model(**{changed: 1.01}))


def test_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "dllmkit" / "observe" / "metrics.py"
    package.parent.mkdir(parents=True)
    package.write_text("1\n")
    monkeypatch.setattr(module, "__file__", str(package))
    assert git_commit() is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e")
        return subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    assert git_commit() is None  # no commit yet
    git("add", ".")
    git("commit", "-q", "-m", "m")
    assert git_commit() == git("rev-parse", "HEAD")
    package.write_text("2\n")
    assert git_commit() == git("rev-parse", "HEAD") + "-dirty"
