"""The Python entry point: a recipe and a model, ready to decode prompts."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dllmkit.errors import RecipeError, RequestError
from dllmkit.execution.eager import Eager
from dllmkit.execution.footprint import Footprint, check, footprint
from dllmkit.loop import decode
from dllmkit.phases import Phases, unwatched
from dllmkit.policy import Policy
from dllmkit.propose import ConfidenceDtype, Proposer
from dllmkit.result import Result
from dllmkit.sampling import Categorical, Gumbel, Sampler
from dllmkit.state import Request, Row
from dllmkit.step import StepRecord

if TYPE_CHECKING:
    from dllmkit.execution.execution import Execution
    from dllmkit.models.family import Architecture
    from dllmkit.models.model import DiffusionModel
    from dllmkit.recipe import DecodeSettings, Recipe
    from dllmkit.slots import Observer

Prompt = str | Sequence[int]
"""Text, or token ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """A model with a way to decode it; make one with `from_recipe`.

    Decoding keeps no state in the decoder but what it has compiled (`execution`): calls are independent, and the same
    prompts and seed give the same results in any batch and order.
    """

    model: DiffusionModel
    settings: DecodeSettings
    batch_size: int
    recipe: Recipe
    execution: Execution

    @classmethod
    def from_recipe(cls, source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Decoder:
        """Read a recipe (file, name, mapping or DictConfig) with overrides `key=value`, and load its model.

        Raises RecipeError with everything that is wrong before any weight is read, ModelError if the checkpoint cannot be
        used.
        """
        from dllmkit.models.loading import load_model
        from dllmkit.plugins import load_plugins
        from dllmkit.recipe import load_recipe

        plugins = load_plugins()
        recipe = load_recipe(source, overrides, plugins)
        return cls.of(load_model(recipe, plugins.registry, check=lambda found: make_sampler(recipe, found)), recipe)

    @classmethod
    def of(cls, model: DiffusionModel, recipe: Recipe) -> Decoder:
        """Put a recipe on a model that is loaded already: several decoders can share one."""
        decoder = cls(model, recipe.decode, recipe.runtime.batch_size, recipe, execution_of(recipe.runtime.compile))
        decoder._proposer()  # raises now what could only be found out while decoding
        return decoder

    def decode(
        self,
        prompts: Iterable[Prompt],
        *,
        chat: bool = False,
        observers: Sequence[Observer] = (),
        phase: Phases = unwatched,
    ) -> list[Result]:
        """Decode prompts and return one Result for each, in order; `chat` applies the tokenizer's chat template to text.

        `phase` is told when each part of a step begins and ends, for profilers and benchmarks.
        """
        results = list(self.finished(prompts, chat=chat, observers=observers, phase=phase))
        return sorted(results, key=lambda result: result.index)

    def finished(
        self,
        prompts: Iterable[Prompt],
        *,
        chat: bool = False,
        observers: Sequence[Observer] = (),
        skip: Container[int] = (),
        phase: Phases = unwatched,
    ) -> Iterator[Result]:
        """Yield each Result as soon as its row is finished; `index` says which prompt it answers.

        Prompts whose index is in `skip` are not decoded: an interrupted run continues with the others.
        """
        requests = [r for r in self.requests(prompts, chat=chat) if r.index not in skip]
        yield from self.answers(requests, observers=observers, phase=phase)

    def answers(
        self, requests: Sequence[Request], *, observers: Sequence[Observer] = (), phase: Phases = unwatched
    ) -> Iterator[Result]:
        """Yield each Result as soon as its row is finished, for some of the requests that `requests` made."""
        details = any(getattr(observer, "details", False) for observer in observers)
        for row, step in self._steps(requests, phase, details):
            for observer in observers:
                observer.on_step(step)
            if row.finished:
                result = self._result(row)
                for observer in observers:
                    observer.on_result(result)
                yield result

    def stream(self, prompt: Prompt, *, chat: bool = False, details: bool = False) -> Iterator[StepRecord]:
        """Decode one prompt and yield a step record after each forward, with `details` also why it chose what it chose."""
        for _, step in self._steps(self.requests([prompt], chat=chat), details=details):
            yield step

    def text(self, tokens: Iterable[int], *, specials: bool = False) -> str | None:
        """Decode token ids; None if the model has no tokenizer."""
        if self.model.tokenizer is None:
            return None
        decoded: str = self.model.tokenizer.decode(list(tokens), skip_special_tokens=not specials)
        return decoded

    def requests(self, prompts: Iterable[Prompt], *, chat: bool = False) -> list[Request]:
        """Turn prompts into requests; raise RequestError for the first that cannot be decoded."""
        special, shift = self.model.architecture.special, self.model.architecture.shift
        seen: Counter[tuple[int, ...]] = Counter()
        requests = []
        for index, prompt in enumerate(prompts):
            tokens = self._tokens(prompt, index, chat)
            request = Request(
                index, tokens, self.settings.gen_length, special.mask_id, special.eos_ids, shift,
                self.settings.as_released, request_seed(self.settings.seed, tokens, seen[tokens]),
            )  # fmt: skip
            requests.append(request)
            seen[tokens] += 1
        return requests

    def _tokens(self, prompt: Prompt, index: int, chat: bool) -> tuple[int, ...]:
        if isinstance(prompt, str):
            if not prompt.strip():
                raise RequestError(f"prompt {index} is empty")
            tokens = self._encode(prompt, chat)
        else:
            tokens = [int(t) for t in prompt]
        vocabulary, limit = self.model.vocabulary, self.model.architecture.max_length
        if not tokens:
            raise RequestError(f"prompt {index} is empty")
        wrong = [t for t in tokens if not 0 <= t < vocabulary]
        if wrong:
            raise RequestError(f"prompt {index} has token id {wrong[0]}, expected 0 to {vocabulary - 1}")
        if len(tokens) + self.settings.gen_length > limit:
            raise RequestError(
                f"prompt {index} has {len(tokens)} tokens and decode.gen_length is {self.settings.gen_length}: together "
                f"{len(tokens) + self.settings.gen_length}, but the model has {limit} positions"
            )
        return tuple(tokens)

    def _encode(self, prompt: str, chat: bool) -> list[int]:
        tokenizer = self.model.tokenizer
        if tokenizer is None:
            raise RequestError("the checkpoint has no tokenizer: give prompts as lists of token ids")
        if not chat:
            return list(tokenizer(prompt)["input_ids"])
        if not tokenizer.chat_template:
            raise RequestError("the checkpoint's tokenizer has no chat template: set prompts.chat=false")
        messages = [{"role": "user", "content": prompt}]
        encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
        return list(encoded["input_ids"])

    def _steps(
        self, requests: Sequence[Request], phase: Phases = unwatched, details: bool = False
    ) -> Iterator[tuple[Row, StepRecord]]:
        policy, proposer = self._policy(), self._proposer()
        check(self.model, requests, policy, proposer, self.batch_size, self.execution)
        return decode(self.model, requests, policy, proposer, self.batch_size, phase, self.execution, details)

    @property
    def clock(self) -> float:
        """Seconds of a clock that stands while steps are compiled or captured."""
        return time.perf_counter() - self.execution.preparing

    def footprint(self, prompts: Iterable[Prompt], *, chat: bool = False) -> Footprint:
        """Predict the memory that decoding prompts takes beyond the weights, without decoding."""
        requests, proposer = self.requests(prompts, chat=chat), self._proposer()
        return footprint(self.model, requests, self._policy(), proposer, self.batch_size, self.execution)

    def _policy(self) -> Policy:
        s = self.settings
        return Policy(s.block_scheduler, s.context_window, s.cache_policy, s.unmask_selector, s.stop_rules)

    def _proposer(self) -> Proposer:
        architecture, settings = self.model.architecture, self.settings
        signals = settings.unmask_selector.signals
        try:
            self.model.layer_indices(signals)
        except ValueError as error:
            raise RecipeError(self.recipe.source, [f"decode.unmask_selector: {error}"]) from error
        confidence = cast(ConfidenceDtype, settings.confidence_dtype)  # the recipe's reader knows the choices
        if confidence == "auto" and settings.as_released:
            confidence = architecture.released_confidence
        sampler = make_sampler(self.recipe, architecture)
        return Proposer(sampler, signals, architecture.special.mask_id, confidence)

    def _result(self, row: Row) -> Result:
        tokens = row.canvas.tolist()
        generated = tokens[row.prompt_length :]
        ends = row.request.eos_ids
        n = next((i for i, token in enumerate(generated) if token in ends), len(generated))
        return Result(
            index=row.request.index,
            text=self.text(generated[:n]),
            tokens=tokens,
            prompt_length=row.prompt_length,
            nfe=row.nfe,
            n_committed=row.n_committed,
            query_lengths=row.query_lengths,
            visible_lengths=row.visible_lengths,
            commit_step=row.commit_step.tolist(),
            confidence=[None if np.isnan(c) else c for c in row.confidence.tolist()],
            stop_reason=row.stop_reason,
            seconds=row.seconds,
            answer_length=n,
        )


def execution_of(mode: str) -> Execution:
    """Return how steps run in a mode of `runtime.compile`."""
    if mode == "none":
        return Eager()
    from dllmkit.execution.compiled import Compiled
    from dllmkit.execution.graphs import Graphed

    return Compiled() if mode == "default" else Graphed()


def make_sampler(recipe: Recipe, architecture: Architecture) -> Sampler:
    """Choose how tokens are drawn: what the recipe says, or the way of the model's family; refuse options without a meaning."""
    s = recipe.decode
    kind = architecture.sampler if s.sampler == "auto" else s.sampler
    if kind == "categorical":
        return Categorical(s.temperature, s.top_p, s.top_k, architecture.special.mask_id)
    given = [f"decode.{name} = {getattr(s, name)}" for name in ("top_p", "top_k") if getattr(s, name) is not None]
    if given:
        why = f"the gumbel sampler of family '{architecture.family}' has no top-p or top-k; set decode.sampler=categorical"
        raise RecipeError(recipe.source, [f"{option}: {why}" for option in given])
    return Gumbel(s.temperature)


def request_seed(seed: int, tokens: Sequence[int], occurrence: int) -> int:
    """Derive a request's seed from its prompt, so that neither batch nor order changes what is drawn.

    `occurrence` counts equal prompts, which are meant as several samples.
    """
    digest = hashlib.sha256(repr((seed, tuple(tokens), occurrence)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
