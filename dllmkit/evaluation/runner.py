"""The evaluation itself: decode problems, judge the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.sample import Sample, Timing
from dllmkit.evaluation.task import Task

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A decoder with a task."""

    decoder: Decoder
    task: Task

    @property
    def prompts(self) -> list[str]:
        """The prompts of all problems; a request's random numbers depend on its place among equal ones."""
        return [problem.prompt for problem in self.task.problems]

    def check(self) -> None:
        """Raise for the first problem that cannot be decoded, before any is."""
        try:
            self.decoder.requests(self.prompts, chat=self.decoder.recipe.prompts.chat)
        except DllmkitError as error:
            raise DllmkitError(f"task {self.task.name}: {error}") from None

    def run(self, indices: Sequence[int], session: int = 1, rank: int = 0) -> Iterator[tuple[Sample, Timing]]:
        """Decode the problems of these indices; yield each sample as it finishes.

        Neither judging nor compiling counts as decode time.
        """
        if not indices:
            return
        others = frozenset(range(len(self.task.problems))) - frozenset(indices)
        chat = self.decoder.recipe.prompts.chat
        results = self.decoder.finished(self.prompts, chat=chat, skip=others)
        elapsed, execution = 0.0, self.decoder.execution
        while True:
            started, prepared = time.perf_counter(), execution.preparing
            result = next(results, None)
            elapsed += time.perf_counter() - started - (execution.preparing - prepared)
            if result is None:
                return
            problem, text = self.task.problems[result.index], result.text
            if text is None:
                raise DllmkitError("the checkpoint has no tokenizer: its answers are no text that could be judged")
            sample = Sample.of(result, problem, text, self.task.matcher(text, problem))
            yield sample, Timing(result.index, result.seconds, elapsed, session, rank)
