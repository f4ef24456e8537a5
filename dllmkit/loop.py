"""The decode loop: every method of the kit runs through these lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from dllmkit.commit import Commit, decide, download
from dllmkit.execution.eager import Eager
from dllmkit.execution.execution import Execution
from dllmkit.explanation import Details, explain
from dllmkit.inputs import StepInputs
from dllmkit.kv import KVStore
from dllmkit.lane import Lane
from dllmkit.memory import Memory
from dllmkit.models.model import DiffusionModel
from dllmkit.phases import Phases, unwatched
from dllmkit.plan import pack
from dllmkit.policy import Policy
from dllmkit.proposal import Proposal
from dllmkit.propose import Proposer
from dllmkit.slots import UnmaskSelector
from dllmkit.state import Request, Row
from dllmkit.step import StepRecord


@torch.inference_mode()
def decode(
    model: DiffusionModel,
    requests: Sequence[Request],
    policy: Policy,
    proposer: Proposer,
    batch_size: int = 1,
    phase: Phases = unwatched,
    execution: Execution | None = None,
    details: bool = False,
) -> Iterator[tuple[Row, StepRecord]]:
    """Decode requests, `batch_size` rows at a time, and yield each row with its record after each of its forwards.

    A row whose `finished` is set has been yielded for the last time; its place goes to the next request. Rows are
    independent: the batch changes neither tokens nor counts. `execution` says how `denoise` runs: eagerly unless given. With
    `details` the records say why, and steps run eagerly.
    """
    execution, selector = execution or Eager(), policy.unmask_selector
    step, noise = partial(denoise, model, proposer, selector), partial(proposer.noise, model)
    proposals: list[Proposal] = []
    if details:
        execution, step = Eager(execution.sizing), partial(step, look=proposals.append)
    batch = Batch.of(model, requests, policy, batch_size, execution)
    run = execution.start(step, noise, batch.kv, batch.memory)
    while batch.fill():
        lanes = batch.lanes
        with phase("schedule"):
            for lane in lanes:
                lane.row.block = lane.schedule(lane.row)
        with phase("cache"):
            for lane in lanes:
                lane.row.refresh = lane.cache.refresh_due(lane.row)
        with phase("context"):
            for lane in lanes:
                lane.row.visible = lane.context(lane.row)
        with phase("cache"):
            for lane in lanes:
                lane.row.query = lane.cache.query(lane.row)
        with phase("pack"):
            for lane in lanes:
                lane.settle(batch.kv)
            plans = pack(lanes, batch.kv, execution.sizing, batch.places, proposer.signals.observed)
        for plan in plans:
            decided = run(plan, phase)
            with phase("commit"):
                commits = download(plan, decided, selector)
                whys = explain(plan, proposals.pop(), selector) if details else [None] * len(commits)
                taken = zip(plan.lanes, commits, whys, strict=True)
                steps = [(lane.row, advance(lane, commit, batch.clock, why)) for lane, commit, why in taken]
            yield from steps
        batch.drop_finished()


def denoise(
    model: DiffusionModel,
    proposer: Proposer,
    selector: UnmaskSelector,
    inputs: StepInputs,
    phase: Phases = unwatched,
    look: Callable[[Proposal], None] | None = None,
) -> torch.Tensor:
    """Do what a step does on the device; return tokens, confidences and choice, [3, rows, width].

    Nothing here waits for the device or depends on its data, so that it can be compiled and captured as a whole. `look` is
    shown the proposal, in eager steps only.
    """
    inputs = inputs.typed()
    with phase("forward"):
        hidden = model.forward(inputs, proposer.signals)
    with phase("propose"):
        proposal = proposer.propose(model, hidden, inputs)
    with phase("select"):
        decided = decide(proposal, selector.select(proposal), inputs.force, selector)
    if look is not None:
        look(proposal)
    return decided


def advance(lane: Lane, commit: Commit, now: float, details: Details | None = None) -> StepRecord:
    """Commit, ask the stop rules, and record the step."""
    row = lane.row
    row.commit(commit.positions, commit.tokens, commit.confidence)
    if len(commit.overwritten):
        row.overwrite(commit.overwritten, commit.overwriting)
    lane.idle = 0 if len(commit.positions) else lane.idle + 1
    row.query_lengths.append(len(row.query))
    row.visible_lengths.append(len(row.visible))
    canvas, step = row.canvas.copy(), row.step
    if (stop := lane.first_stop()) is not None:
        row.fill(stop.fill_from, stop.token, stop.reason)
    elif row.first_mask == row.length:
        row.finished = True
    row.nfe += 1
    row.seconds = now - lane.started
    return StepRecord(
        request=row.request, step=step, block=(row.block.start, row.block.stop), refresh=row.refresh,
        visible=row.visible, query=row.query, eligible=row.eligible, chosen=commit.positions, tokens=commit.tokens,
        confidence=commit.confidence, canvas=canvas, finished=row.finished,
        stop_reason=row.stop_reason if row.finished else None, forced=commit.forced,
        overwritten=commit.overwritten, overwriting=commit.overwriting, details=details,
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class Batch:
    """The rows at work and the requests that wait for a place."""

    policy: Policy
    waiting: deque[Request]
    size: int
    places: int  # rows of the store and the memory
    kv: KVStore | None
    memory: Memory
    device: torch.device
    execution: Execution
    lanes: list[Lane] = field(default_factory=list)

    @property
    def clock(self) -> float:
        """Seconds, without those in which steps were compiled or captured."""
        return time.perf_counter() - self.execution.preparing

    @classmethod
    def of(
        cls, model: DiffusionModel, requests: Iterable[Request], policy: Policy, size: int, execution: Execution
    ) -> Batch:
        """Queue the requests; the KV store is made only for cache policies that read it."""
        waiting = deque(requests)
        size = min(size, len(waiting))
        places = execution.sizing.rows(size)
        longest = max((r.length for r in waiting), default=0)
        kv = model.new_kv(places, longest) if policy.cache_policy.reads_cache and waiting else None
        memory = model.new_memory(policy.unmask_selector.signals, places, longest, stored=kv is not None)
        return cls(policy, waiting, size, places, kv, memory, model.device, execution)

    def fill(self) -> bool:
        """Give free places to waiting requests; False when nothing is left to do."""
        while self.waiting and len(self.lanes) < self.size:
            request = self.waiting.popleft()
            generator = torch.Generator(self.device).manual_seed(request.seed)
            slot = len(self.lanes)
            if self.kv is not None:
                self.kv.clear(slot)
            self.memory.clear(slot)
            self.lanes.append(Lane.begin(Row(request), slot, self.policy, generator, self.clock))
        return bool(self.lanes)

    def drop_finished(self) -> None:
        """Let finished rows leave; the last rows take over their places, so that rows in use stay a run of the store."""
        for lane in [lane for lane in self.lanes if lane.row.finished]:
            last = max(self.lanes, key=lambda one: one.slot)
            if last is not lane:
                if self.kv is not None:
                    self.kv.move(last.slot, lane.slot)
                self.memory.move(last.slot, lane.slot)
                last.slot = lane.slot
            self.lanes.remove(lane)
