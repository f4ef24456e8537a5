"""A commit schedule: tokens per forward come out as asked, whatever the method."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
from decoding import outcomes
from methods import COMBINATIONS, check_complete, policy_of, section

from dllmkit.bench.schedule import CommitSchedule, Counts, Paced, Rate
from dllmkit.cli.run import run
from dllmkit.errors import DllmkitError
from dllmkit.execution.compiled import Compiled
from dllmkit.execution.eager import Eager
from dllmkit.proposal import Proposal
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy
from dllmkit_baseline.fixed_blocks import FixedBlocks
from dllmkit_baseline.threshold import Threshold

PROMPTS = [[4, 9], [7, 23, 1, 5, 18, 2, 2, 8, 11, 3], [1, 2, 3, 4, 6]]
LENGTH = 8  # two blocks of 3, and a rest
ROWS = (Counts.of([1, 3, 0, 0, 2]), Rate(2.5), Counts.of([4]))  # one for each prompt
ALLOWED = [one for one in COMBINATIONS.all if one.runs and "stop_rule" not in one.choices]
model_of = cache(lambda shift: toy_model(5, shift=shift, layers=1, width=16, heads=2, kv_heads=1))


def committed(steps, index):
    return [(len(s.chosen), len(s.eligible)) for s in steps if s.row == index]


def follows(steps, index, counts):
    """Every forward commits what is due, or all that is eligible if that is less."""
    done = 0
    for number, (chosen, eligible) in enumerate(committed(steps, index), 1):
        assert chosen == min(counts.due(number) - done, eligible)
        done += chosen


@pytest.mark.parametrize(("shift", "released"), [(0, False), (1, False), (0, True)])
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_allowed_combinations_follow_it(every, shift, released):
    model = model_of(shift)
    assert len(ALLOWED) > 50
    for one in ALLOWED[::every]:  # 7: each selector, cache, window and scheduler comes up
        policy = policy_of(section(one, as_released=released))
        policy = replace(policy, unmask_selector=Paced(policy.unmask_selector, ROWS))
        rows, steps = toy_decode(model, PROMPTS, policy, gen_length=LENGTH, batch_size=2, as_released=released)
        check_complete(rows, model.architecture.special.mask_id)
        for index, counts in enumerate(ROWS):
            follows(steps, index, counts)


def test_a_released_shifted_model_catches_up():
    """There a refresh commits its first mask, due or not, and nothing else."""
    model = model_of(1)
    decode = {"cache_policy": "dual_cache", "block_scheduler": {"name": "fixed_blocks", "block_length": 4}}
    policy = policy_of({**decode, "as_released": True})
    policy = replace(policy, unmask_selector=Paced(policy.unmask_selector, (Rate(2),)))
    (row,), steps = toy_decode(model, [[1, 2]], policy, gen_length=8, as_released=True)
    assert committed(steps, 0) == [(1, 1), (3, 3), (1, 1), (3, 3)]
    assert row.n_committed / row.nfe == 2


def test_tokens_per_forward_are_the_rate():
    for rate in (1, 2, 3.5, 8):
        policy = toy_policy(block_scheduler=FixedBlocks(56), unmask_selector=Paced(Threshold(0.9), (Rate(rate),)))
        (row,), steps = toy_decode(toy_model(), [[1, 2]], policy, gen_length=56)
        assert row.n_committed / row.nfe == rate
        assert {chosen for chosen, _ in committed(steps, 0)} == {int(rate), -int(-rate // 1)}


def test_what_a_block_could_not_give_is_due_in_the_next():
    policy = toy_policy(block_scheduler=FixedBlocks(4), unmask_selector=Paced(Threshold(0.9), (Counts.of([3]),)))
    _, steps = toy_decode(toy_model(), [[1]], policy, gen_length=12)
    assert committed(steps, 0) == [(3, 4), (1, 1), (4, 4), (4, 4)]


def test_a_schedule_starts_over_at_its_end():
    counts = Counts.of([1, 0, 3])
    assert [counts.due(n) for n in range(8)] == [0, 1, 1, 4, 5, 5, 8, 9]
    assert counts.longest_wait == 1
    assert Counts.of([0, 2, 0, 0]).longest_wait == 3  # across its end
    assert Counts.of([2]).longest_wait == 0
    with pytest.raises(ValueError, match="rise to at least 1"):
        Counts.of([0, 0])


class Spy:
    """A selector that chooses nothing and tells what it was asked."""

    def __init__(self):
        self.asked = []

    @property
    def signals(self):
        return Threshold().signals

    def begin(self, row):
        return type("Inputs", (), {"patience": 0, "inputs": lambda self, row: (0.25, row.step)})()

    def select(self, proposal):
        self.asked.append(proposal.inputs.tolist())
        return torch.zeros_like(proposal.eligible)


def test_the_inner_selector_runs_with_its_own_inputs():
    spy = Spy()
    policy = toy_policy(block_scheduler=FixedBlocks(6), unmask_selector=Paced(spy, (Rate(2),)))
    toy_decode(toy_model(), [[1]], policy, gen_length=6)
    assert spy.asked == [[[0.25, 0]], [[0.25, 1]], [[0.25, 2]]]


@pytest.mark.slow
def test_a_compiled_step_follows_it_too():
    chosen = next(one for one in ALLOWED if str(one.choices["unmask_selector"]) == "dawn")
    policy = policy_of(section(chosen))
    policy = replace(policy, unmask_selector=Paced(policy.unmask_selector, ROWS))
    model = model_of(0)
    eager, compiled = (
        toy_decode(model, PROMPTS, policy, gen_length=LENGTH, batch_size=2, execution=execution)
        for execution in (Eager(), Compiled(backend="eager"))
    )
    for index, counts in enumerate(ROWS):
        follows(compiled[1], index, counts)
    assert outcomes(compiled[0]) == outcomes(eager[0])


def test_the_most_confident_eligible_masks_are_chosen():
    eligible = torch.tensor([[True, True, True, False], [False, True, True, True]])
    confidence = torch.tensor([[0.1, 0.9, 0.9, 0.95], [0.99, 0.2, 0.3, 0.1]])
    positions = torch.arange(4).expand(2, 4)
    inputs = torch.tensor([[2.0, 0.5], [1.0, 0.5]])
    proposal = Proposal(positions, eligible, positions, confidence, inputs)
    chosen = Paced(Threshold(0.5), (Rate(1),)).select(proposal)
    assert chosen.tolist() == [[False, True, True, False], [False, False, True, False]]
    every = Paced(Threshold(0.0), (Rate(1),)).select(replace(proposal, inputs=inputs * torch.tensor([0.0, 1.0])))
    assert not every.any()  # a count of 0 commits nothing; the inner choice is not used


def test_reading(tmp_path):
    assert CommitSchedule.read("3.5").rows == (Rate(3.5),)
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    one.write_text("[1, 4, 2]")
    several.write_text("[[1, 4, 2], [0, 3]]")
    assert CommitSchedule.read(str(one)).rows == (Counts((1, 5, 7)),)
    assert CommitSchedule.read(str(several)).rows == (Counts((1, 5, 7)), Counts((0, 3)))


def test_a_trace_replays_its_tokens_per_forward(tmp_path, capsys):
    run("dsb/tiny", ["decode.gen_length=64"], ["Sort: 4 2 9", "Sort: 8 1"], out=str(tmp_path / "run"))
    capsys.readouterr()
    file = tmp_path / "run" / "trace.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    schedule = CommitSchedule.read(str(file))
    for index in (0, 1):
        counts = [len(line["tokens"]) for line in lines if line["kind"] == "step" and line["row"] == index]
        assert schedule.rows[index] == Counts.of(counts)
        assert sum(counts) > len(counts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5", "expected at least 1 token per forward, or a file"),
        ("nan", "expected at least 1 token per forward, or a file"),
        ("gone.json", "no such file, and not a number of tokens per forward"),
        ("words.json", "expected a JSON list of tokens per forward such as"),
        ("none.json", "expected a JSON list of tokens per forward such as"),
        ("zero.json", "schedule 1 commits no token"),
        ("empty.jsonl", "the trace has no step"),
        ("wrong.jsonl", "line 1 is not a line of a trace"),
    ],
)
def test_mistakes(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.json").write_text('["a"]')
    (tmp_path / "none.json").write_text("3")
    (tmp_path / "zero.json").write_text("[[1], [0]]")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "wrong.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(DllmkitError) as caught:
        CommitSchedule.read(text)
    assert message in str(caught.value)
    assert text in str(caught.value)
