"""A recipe as a model of lm-evaluation-harness (0.4.13 or later of the 0.4 series)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM
from tqdm import tqdm

from dllmkit.errors import DllmkitError
from dllmkit.evaluation.likelihood import Likelihood
from dllmkit.evaluation.shards import Group

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

    from dllmkit.decoder import Decoder


@dataclass(frozen=True, slots=True)
class HarnessOptions:
    """What neither recipe nor harness says."""

    samples: int = 128  # maskings per log-likelihood
    seed: int = 0
    greedy: bool = False  # find out whether a continuation is the greedy one: a forward per token
    add_bos_token: bool = False  # before every prompt
    templated: bool = False  # the harness applies the chat template


class DllmkitLM(LM):  # type: ignore[misc]  # the harness has no types
    """Answers the harness's requests with a decoder.

    Generation is what the recipe says: the harness gives prompts and stop strings.
    """

    def __init__(self, decoder: Decoder, options: HarnessOptions, group: Group) -> None:
        super().__init__()
        self._rank, self._world_size, self._group = group.rank, group.size, group
        self._device = "cpu"  # of the counts that the harness has gathered
        self._decoder, self._options = decoder, options
        self._likelihood = Likelihood(decoder.model, options.samples, options.seed, decoder.batch_size)
        self._said: set[str] = set()
        if decoder.model.tokenizer is None:
            raise DllmkitError("the checkpoint has no tokenizer, and lm-evaluation-harness speaks in text")
        if (self._turns or options.templated) and not decoder.model.tokenizer.chat_template:
            raise DllmkitError("the checkpoint's tokenizer has no chat template: set prompts.chat=false")

    def __str__(self) -> str:
        return f"dllmkit {self._decoder.recipe.source}"

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Decode each context, and cut the answer at its first stop string."""
        prompts = [self._prompt(request.args[0]) for request in requests]
        texts: dict[int, str] = {}
        bar = self._bar(len(requests), "generate_until")
        for result in self._decoder.finished(prompts):
            options = requests[result.index].args[1]
            self._compare(options)
            texts[result.index] = cut(result.text or "", options.get("until") or [])
            self.cache_hook.add_partial("generate_until", requests[result.index].args, texts[result.index])
            bar.update()
        bar.close()
        return [texts[index] for index in range(len(requests))]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Estimate the log-likelihood of each continuation after its context."""
        answers = []
        for request in self._shown(requests, "loglikelihood"):
            prefix, target = self._pair(*request.args)
            self._fits(len(prefix) + len(target))
            greedy = self._options.greedy and self._likelihood.is_greedy(prefix, target)
            answers.append((self._likelihood.bound(prefix, target), greedy))
            self.cache_hook.add_partial("loglikelihood", request.args, answers[-1])
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """Estimate the log-likelihood of whole texts.

        A text longer than the model is taken in pieces of half its positions, each after as much of what precedes it.
        """
        answers = []
        for request in self._shown(requests, "loglikelihood_rolling"):
            tokens = self._encode(request.args[0])
            begin, half = self._begin([]), self._decoder.model.architecture.max_length // 2
            step = len(tokens) if len(begin) + len(tokens) <= 2 * half else half
            pieces = [
                (tokens[max(0, at - half) : at], tokens[at : at + step]) for at in range(0, len(tokens), step or 1)
            ]
            answers.append(sum(self._likelihood.bound(before or begin, piece) for before, piece in pieces))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answers[-1])
        return answers

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Write a conversation as the tokenizer's template says."""
        tokenizer = self._decoder.model.tokenizer
        options: dict[str, bool] = {"add_generation_prompt": add_generation_prompt}
        if not add_generation_prompt:
            options["continue_final_message"] = True
        text: str = tokenizer.apply_chat_template(chat_history, tokenize=False, **options)
        return text

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Return the template; there is one per tokenizer, so a name chooses nothing."""
        if isinstance(chat_template, str):
            raise DllmkitError(
                f"--apply_chat_template {chat_template}: tokenizers of dllmkit have one template: give no name"
            )
        return str(self._decoder.model.tokenizer.chat_template or "") if chat_template else ""

    @property
    def tokenizer_name(self) -> str:
        """What caches of prompts are named by."""
        return str(self._decoder.recipe.model.path).replace("/", "__")

    def get_model_info(self) -> dict[str, Any]:
        """What results say of the model."""
        recipe = self._decoder.recipe
        return {"recipe": recipe.resolved, "recipe_hash": recipe.hash, "mc_samples": self._options.samples}

    def all_gather(self, tensor: Any) -> Any:
        """Gather one number of each process, as a tensor [processes]."""
        import torch

        return torch.stack(self._group.gather(tensor))

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        """Gather an object of each process; None in all but one."""
        gathered = self._group.gather(obj)
        return gathered if self._rank == dst else None

    def barrier(self) -> None:
        """Wait for all processes."""
        self._group.gather(None)

    @property
    def _turns(self) -> bool:
        """Whether a context becomes the user's turn of the chat template here: the recipe says so, and the harness did not."""
        return self._decoder.recipe.prompts.chat and not self._options.templated

    def _encode(self, text: str) -> list[int]:
        added = {"add_special_tokens": False} if self._options.templated else {}
        return list(self._decoder.model.tokenizer(text, **added)["input_ids"])

    def _begin(self, tokens: list[int]) -> list[int]:
        """Put the first token before a prompt that wants one: where asked for, and before nothing in a shifted model."""
        tokenizer, architecture = self._decoder.model.tokenizer, self._decoder.model.architecture
        if self._options.add_bos_token and tokenizer.bos_token_id is None:
            raise DllmkitError("--add-bos-token: the checkpoint's tokenizer has no begin-of-sequence token")
        if self._options.add_bos_token and tokens[:1] != [tokenizer.bos_token_id]:
            return [tokenizer.bos_token_id, *tokens]
        if not tokens and architecture.shift:
            first = tokenizer.bos_token_id
            return [architecture.special.eos_ids[0] if first is None else first]
        return tokens

    def _prompt(self, context: str) -> list[int]:
        if self._turns:
            text = self.apply_chat_template([{"role": "user", "content": context}])
            return list(self._decoder.model.tokenizer(text, add_special_tokens=False)["input_ids"])
        return self._begin(self._encode(context))

    def _pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokenise both; spaces that end the context belong to the continuation, where tokenizers join them to words."""
        if self._turns:
            target = list(self._decoder.model.tokenizer(continuation, add_special_tokens=False)["input_ids"])
            return self._prompt(context), target
        stripped = context.rstrip()
        continuation, context = context[len(stripped) :] + continuation, stripped
        before = self._encode(context)
        return self._begin(before), self._encode(context + continuation)[len(before) :]

    def _fits(self, length: int) -> None:
        limit = self._decoder.model.architecture.max_length
        if length > limit:
            raise DllmkitError(
                f"a request has {length} tokens with its continuation, but the model has {limit} positions"
            )

    def _compare(self, options: dict[str, Any]) -> None:
        """Say once where a task asks for a generation that the recipe does not make."""
        decode = self._decoder.settings
        wanted = options.get("max_gen_toks")
        if wanted is not None and wanted != decode.gen_length:
            self._say(f"the task asks for max_gen_toks={wanted}, the recipe generates {decode.gen_length} positions")
        temperature = options.get("temperature", 0.0) if options.get("do_sample", True) else 0.0
        if float(temperature) != decode.temperature:
            self._say(
                f"the task asks for temperature {temperature}, the recipe has decode.temperature={decode.temperature}"
            )

    def _say(self, what: str) -> None:
        if what not in self._said and self._group.first:
            print(f"warning: {what}: the recipe counts", file=sys.stderr)
        self._said.add(what)

    def _bar(self, total: int, what: str) -> tqdm[Any]:
        return tqdm(total=total, desc=what, disable=not (self._group.first and sys.stderr.isatty()))

    def _shown(self, requests: Sequence[Instance], what: str) -> Iterator[Instance]:
        with self._bar(len(requests), what) as bar:
            for request in requests:
                yield request
                bar.update()


def cut(text: str, stops: str | Sequence[str]) -> str:
    """Return a text up to the first of the stop strings."""
    listed = [stops] if isinstance(stops, str) else stops
    ends = [at for stop in listed if stop and (at := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]
