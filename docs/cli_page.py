"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

HEAD = """# Command line

Made from the code by `python docs/generate.py`; a test fails when it is out of date. `dllmkit COMMAND --help` prints the same.

A mistake of the user is one message on standard error and exit status 2. Ctrl-C ends with status 130."""


def cli_page() -> str:
    """Every command with its arguments and options, as Markdown."""
    import typer

    from dllmkit.cli.app import app

    return "\n\n".join([HEAD, *_commands(typer.main.get_command(app), "dllmkit")]) + "\n"


def _commands(group: Any, name: str) -> Iterator[str]:
    for word, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {word}")
        elif not command.hidden:
            yield from _command(command, f"{name} {word}")


def _command(command: Any, name: str) -> Iterator[str]:
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    yield f"## `{name}`"
    yield _prose(command.help or "")
    yield "```text\n" + " ".join([name, *map(_usage, arguments), *(["[OPTIONS]"] if options else [])]) + "\n```"
    if shown:
        rows = [f"| {_names(p)} | {_cell(p.help or '')} |" for p in [*arguments, *options]]
        yield "\n".join(["| argument or option | |", "|---|---|", *rows])
    if command.epilog:
        yield _epilog(command.epilog)


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").split("\n\n"))


def _usage(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    word = f"{word}..." if argument.nargs == -1 and not word.endswith("...") else word
    return word if argument.required else f"[{word}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if getattr(parameter, "is_flag", False):
        return names
    return f"{names} `{parameter.metavar}`"  # each option says its own


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _epilog(text: str) -> str:
    found = re.match(r"Examples?:\s*(.+)", text, re.DOTALL)
    if not found:
        return _prose(text)
    lines = [line.strip() for line in found[1].replace("\b", "").splitlines() if line.strip()]
    return "Example:\n\n```text\n" + "\n".join(lines) + "\n```"
