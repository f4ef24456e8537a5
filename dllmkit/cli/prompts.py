"""Where the prompts of a command come from."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from dllmkit.errors import RequestError

Prompt = str | list[int]
PATIENCE = 2.0  # seconds without standard input after which the user is told that we wait for it


def collect(
    given: Sequence[str], file: str | None, samples: Sequence[str], stdin: IO[str] | None = None
) -> list[Prompt]:
    """Return the prompts of a command: `--prompt`, then `--prompts FILE`, else standard input, else the recipe's samples.

    Standard input is one prompt, and is read only where it is not a terminal. Raises RequestError if there is none, or if
    one is empty or not text.
    """
    prompts: list[Prompt] = [*given]
    if file is not None:
        prompts += read_file(file)
    if not prompts:
        piped = _piped(stdin if stdin is not None else sys.stdin)
        prompts = [piped.rstrip("\n")] if piped else list(samples)
    if not prompts:
        raise RequestError(
            "no prompt: give --prompt TEXT, --prompts FILE, standard input, or prompts.samples in the recipe"
        )
    for number, prompt in enumerate(prompts):
        if not (prompt.strip() if isinstance(prompt, str) else prompt):
            raise RequestError(f"prompt {number} is empty")
        if isinstance(prompt, str) and any("\ud800" <= c <= "\udfff" for c in prompt):  # bytes that were not UTF-8
            raise RequestError(f"prompt {number} is not valid Unicode text: {prompt[:60]!a}")
    return prompts


def read_file(name: str) -> list[Prompt]:
    """Read a `.jsonl` file (objects with `prompt`: text or token ids, or such values alone) or a text file, a prompt a line."""
    path = Path(name)
    try:
        text = _decode(path.read_bytes(), name)
    except FileNotFoundError:
        raise RequestError(f"no such file: {name}") from None
    except OSError as error:
        raise RequestError(f"{name} cannot be read: {error.strerror}") from None
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise RequestError(f"{name} holds no prompt")
    if path.suffix.lower() == ".json":
        raise RequestError(
            f"{name}: expected a text file with one prompt a line, or a .jsonl file with one object a line"
        )
    if path.suffix.lower() != ".jsonl":
        return [line for _, line in lines]
    return [_json_prompt(line, f"{name}, line {number}") for number, line in lines]


def _json_prompt(line: str, where: str) -> Prompt:
    try:
        value: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise RequestError(f"{where} is not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise RequestError(f"{where} cannot be read: {error}") from None
    if isinstance(value, dict):
        if "prompt" not in value:
            raise RequestError(f"{where} has no key 'prompt'; its keys: {', '.join(map(repr, value)) or 'none'}")
        value = value["prompt"]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(t, int) and not isinstance(t, bool) for t in value):
        return value
    raise RequestError(f"{where}: the prompt is {type(value).__name__}, expected text or a list of token ids")


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RequestError(f"{name} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}") from None


def _piped(stdin: IO[str] | None) -> str:
    """Read standard input to its end; nothing from a terminal, or where there is no standard input."""
    try:
        if stdin is None or stdin.closed or stdin.isatty():
            return ""
        _say_that_we_wait(stdin)
        raw = getattr(stdin, "buffer", None)  # bytes: whether they are text must not depend on the locale
        return stdin.read() if raw is None else _decode(raw.read(), "standard input")
    except OSError:
        return ""


def _say_that_we_wait(stdin: IO[str]) -> None:
    try:
        ready = select.select([stdin], [], [], PATIENCE)[0]
    except (OSError, ValueError):  # not a file of the system
        return
    if not ready:
        print("reading the prompt from standard input (or give --prompt TEXT)", file=sys.stderr)
