"""`dllmkit lm-eval`: tasks of lm-evaluation-harness, answered with a recipe."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from dllmkit.cli.session import clean_exit, load_decoder, memory_errors, output
from dllmkit.errors import DllmkitError
from dllmkit.evaluation.shards import processes

NO_TASK = "no task: give --tasks, such as --tasks gsm8k"
OURS = ("model", "model_args", "batch_size", "max_batch_size", "device", "trust_remote_code")
"""Options of the harness that a recipe stands for."""


def lm_eval(
    recipe: str,
    arguments: Sequence[str],
    mc_samples: int = 128,
    mc_seed: int = 0,
    check_greedy: bool = False,
    add_bos_token: bool = False,
) -> None:
    """Run the harness on a recipe; `arguments` are overrides of the recipe and options of the harness."""
    with clean_exit():
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        overrides = _overrides(arguments)
        namespace, execute = _parse(arguments[len(overrides) :])
        with processes() as group:
            from dllmkit.evaluation.harness import DllmkitLM, HarnessOptions
            from dllmkit.plugins import load_plugins
            from dllmkit.recipe import load_recipe

            plugins = load_plugins()
            if group.first:
                plugins.warn()
            read = load_recipe(recipe, overrides, plugins)
            templated = bool(getattr(namespace, "apply_chat_template", False))
            options = HarnessOptions(mc_samples, mc_seed, check_greedy, add_bos_token, templated)
            model = DllmkitLM(load_decoder(read, plugins.registry), options, group)
            namespace.model = model  # the harness takes a name or, as here, what is loaded already
            namespace.model_args = {"model": recipe, "overrides": " ".join(overrides), "recipe_hash": read.short_hash}
            with memory_errors(), output(), _harness_errors():
                execute(namespace)
                if group.first:
                    _print_published(read)


def _overrides(arguments: Sequence[str]) -> list[str]:
    """The arguments before the first option."""
    first = next((at for at, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    return list(arguments[:first])


def _parse(arguments: Sequence[str]) -> tuple[Namespace, Any]:
    """Let the harness read its own options; return them with the function that runs them."""
    try:
        from lm_eval._cli.harness import HarnessCLI
        from lm_eval.utils import setup_logging
    except ImportError as error:
        if error.name is not None and not error.name.startswith("lm_eval"):
            raise
        raise DllmkitError("lm-eval needs lm-evaluation-harness: pip install 'dllmkit[eval]'") from None
    if not arguments:
        raise DllmkitError(NO_TASK)
    setup_logging(os.environ.get("LMEVAL_LOG_LEVEL", "WARNING"))
    before = sys.argv
    try:
        sys.argv = ["dllmkit lm-eval RECIPE", "run", *arguments]  # its parser reads no other list
        namespace = HarnessCLI().parse_args()
    finally:
        sys.argv = before
    for name in OURS:
        if getattr(namespace, name, None) is not None:
            raise DllmkitError(f"--{name}: the recipe says that; give model.path, runtime.batch_size, runtime.device")
    if not getattr(namespace, "tasks", None) and not getattr(namespace, "config", None):
        raise DllmkitError(NO_TASK)
    generation = {key: value for key, value in (namespace.gen_kwargs or {}).items() if key != "until"}
    if generation:
        raise DllmkitError(
            f"--gen_kwargs {', '.join(generation)}: the recipe says how to generate; only until is the task's"
        )
    return namespace, namespace.func


@contextmanager
def _harness_errors() -> Iterator[None]:
    """Turn what the harness says against tasks and data into a message; an error of dllmkit keeps its traceback."""
    try:
        yield
    except (ValueError, KeyError, OSError) as error:
        if isinstance(error, BrokenPipeError) or _from_dllmkit(error.__traceback__):
            raise
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        raise DllmkitError(f"lm-eval: {' '.join(text.split())}") from error


def _from_dllmkit(traceback: TracebackType | None) -> bool:
    names = []
    while traceback is not None:
        names.append(str(traceback.tb_frame.f_globals.get("__name__", "")))
        traceback = traceback.tb_next
    inner = names[names.index(__name__) + 1 :] if __name__ in names else names
    return any(name.startswith("dllmkit") and name != __name__ for name in inner)


def _print_published(recipe: Any) -> None:
    if recipe.published is None:
        return
    figures = recipe.published
    accuracy = "not stated" if figures.accuracy is None else f"{figures.accuracy} %"
    print(f"published: {figures.source}; {figures.harness}; {figures.device}: accuracy {accuracy}")
