"""Where the prompts of a command come from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dllmkit.errors import RequestError

Prompt = str | list[int]


def collect(
    given: Sequence[str], file: str | None, samples: Sequence[str], stdin: IO[str] | None = None
) -> list[Prompt]:
    """Return the prompts of a command: `--prompt`, then `--prompts FILE`, else standard input, else the recipe's samples.

    Standard input is one prompt, and is read only where it is not a terminal. Raises RequestError if there is none.
    """
    prompts: list[Prompt] = [*given]
    if file is not None:
        prompts += read_file(file)
    if not prompts:
        stdin = stdin if stdin is not None else sys.stdin
        piped = "" if stdin is None or stdin.closed or stdin.isatty() else _read_text(stdin)
        prompts = [piped.rstrip("\n")] if piped.strip() else list(samples)
    if not prompts:
        raise RequestError("no prompt: give --prompt TEXT, --prompts FILE, standard input, or prompts.samples in the recipe")
    for number, prompt in enumerate(prompts):
        if not (prompt.strip() if isinstance(prompt, str) else prompt):
            raise RequestError(f"prompt {number} is empty")
    return prompts


def read_file(name: str) -> list[Prompt]:
    """Read a `.jsonl` file (objects with `prompt`: text or token ids, or such values alone) or a text file, a prompt a line."""
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RequestError(f"no such file: {name}") from None
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}") from None
    except OSError as error:
        raise RequestError(f"{name} cannot be read: {error.strerror}") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise RequestError(f"{name} holds no prompt")
    if path.suffix != ".jsonl":
        return [line for _, line in lines]
    return [_json_prompt(line, f"{name}, line {number}") for number, line in lines]


def _json_prompt(line: str, where: str) -> Prompt:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise RequestError(f"{where} is not JSON: {error.msg} at column {error.colno}") from None
    if isinstance(value, dict):
        if "prompt" not in value:
            raise RequestError(f"{where} has no key 'prompt'; its keys: {', '.join(map(repr, value)) or 'none'}")
        value = value["prompt"]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(t, int) and not isinstance(t, bool) for t in value):
        return value
    raise RequestError(f"{where}: the prompt is {type(value).__name__}, expected text or a list of token ids")


def _read_text(stdin: IO[str]) -> str:
    try:
        return stdin.read()
    except UnicodeDecodeError as error:
        raise RequestError(f"standard input is not UTF-8: byte {error.start}") from None
    except OSError:  # no standard input at all
        return ""
