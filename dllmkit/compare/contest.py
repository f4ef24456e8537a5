"""Recipes that take turns on the same problems, so that whatever else the machine does disturbs all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from dllmkit.compare.answer import Answer
from dllmkit.compare.folder import CompareFolder
from dllmkit.decoder import Decoder
from dllmkit.errors import RequestError
from dllmkit.evaluation.task import Task
from dllmkit.result import Result
from dllmkit.state import Request

SLICE = 20  # problems that a recipe decodes before the next one takes over, or four batches if that is more
WARM_UP = 2  # forwards before the clock of a recipe starts; a whole problem where steps are compiled


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Decoders, the problems that they all get, and where the answers go."""

    decoders: Sequence[Decoder]
    task: Task
    folder: CompareFolder

    def play(self, on_answer: Callable[[Answer], None] = lambda answer: None) -> None:
        """Decode what the folder does not hold yet; `on_answer` is called after each answer is on the disk.

        Raises RequestError, before anything is decoded, for a problem that a recipe cannot be given.
        """
        requests = [self._requests(decoder) for decoder in self.decoders]
        threads = torch.get_num_threads()
        warm: set[int] = set()
        try:
            for contender, waiting in self._turns(requests):
                decoder = self.decoders[contender]
                torch.set_num_threads(decoder.recipe.runtime.threads or threads)
                if contender not in warm:
                    warm.add(contender)
                    _warm_up(decoder, waiting[0])
                for result, seconds in _timed(decoder, decoder.answers(waiting)):
                    right = self.task.matcher(result.text or "", self.task.problems[result.index])
                    answer = Answer(contender, right, seconds, result)
                    self.folder.add(answer)
                    on_answer(answer)
        finally:
            torch.set_num_threads(threads)

    def _requests(self, decoder: Decoder) -> list[Request]:
        if decoder.model.tokenizer is None:
            raise RequestError(
                f"{decoder.recipe.source}: the checkpoint has no tokenizer: its answers cannot be judged"
            )
        prompts = [problem.prompt for problem in self.task.problems]
        return decoder.requests(prompts, chat=decoder.recipe.prompts.chat)

    def _turns(self, requests: Sequence[Sequence[Request]]) -> Iterator[tuple[int, list[Request]]]:
        """Yield who is next and what is left to do for it: slice by slice, another one first in each."""
        size = max([SLICE, *(4 * decoder.batch_size for decoder in self.decoders)])
        n = len(requests)
        for turn, start in enumerate(range(0, len(self.task.problems), size)):
            for contender in [(turn + i) % n for i in range(n)]:
                part = requests[contender][start : start + size]
                waiting = [r for r in part if (contender, r.index) not in self.folder.answers]
                if waiting:
                    yield contender, waiting


def _warm_up(decoder: Decoder, request: Request) -> None:
    forwards = WARM_UP if decoder.recipe.runtime.compile == "none" else None
    for _ in islice(decoder.stream(request.prompt), forwards):
        pass


def _timed(decoder: Decoder, results: Iterator[Result]) -> Iterator[tuple[Result, float]]:
    """Yield each result with the time that decoding took since the one before; what the caller does in between is not in it."""
    started = decoder.clock
    for result in results:
        yield result, decoder.clock - started
        started = decoder.clock
