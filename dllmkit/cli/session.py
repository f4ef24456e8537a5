"""How a command that decodes begins and ends: the model, signals, pipes, memory."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from dllmkit.errors import DllmkitError

if TYPE_CHECKING:
    from dllmkit.decoder import Decoder
    from dllmkit.recipe import Recipe


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def load_decoder(recipe: Recipe, registry: Any) -> Decoder:
    """Load the model of a recipe; torch is imported here."""
    from transformers.utils import logging

    from dllmkit.decoder import Decoder, make_sampler
    from dllmkit.models.loading import load_model

    logging.set_verbosity_error()  # its warnings (a long prompt, an unusual config) are errors of ours, or nothing
    return Decoder.of(load_model(recipe, registry, check=lambda found: make_sampler(recipe, found)), recipe)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn an allocation that failed while decoding into a message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's OutOfMemoryError is a RuntimeError
        text = str(error)
        if not isinstance(error, MemoryError) and "allocate memory" not in text and "out of memory" not in text:
            raise
        hint = "try a smaller runtime.batch_size or decode.gen_length"
        raise DllmkitError(
            f"out of memory while decoding ({' '.join(text.split())[:120] or 'MemoryError'}): {hint}"
        ) from None


@contextmanager
def clean_exit() -> Iterator[None]:
    """End on signals and closed pipes as programs of the shell do: no traceback, status 128 + signal."""

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    if sys.stdout is None:  # closed by the shell: `>&-`
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # text that the terminal's encoding lacks
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Terminated:
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # nobody reads on: `dllmkit run ... | head -1`
        _discard_output()
        sys.exit(128 + 13)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def output() -> Iterator[None]:
    """Turn a failed write to standard output into a message; a closed pipe is left to `clean_exit`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise DllmkitError(f"standard output cannot be written: {error.strerror}") from None


def _discard_output() -> None:
    """Give what is still in the buffer of standard output somewhere to go."""
    with suppress(OSError, ValueError):  # not a file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
