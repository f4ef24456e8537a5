"""Files of JSON lines that survive any interruption: appended to, never torn, one writer at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from dllmkit.errors import DllmkitError

PARTIAL = ".partial"

Line = tuple[Path, int, int]
"""Where a line is: its file, the byte it starts at, its length."""


def records(path: Path) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield place and content of each whole line; a torn last line, where a process was killed, is left out.

    No file is no line. Raises DllmkitError for a line that is damaged otherwise.
    """
    if not path.exists():
        return
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError
            except ValueError:
                raise DllmkitError(f"{path}, line {number} is damaged: choose another folder for --out") from None
            yield (path, start, len(line)), record
            start += len(line)


def append(file: TextIO, record: dict[str, Any]) -> None:
    """Write a line for good: when this returns it is on the disk, where the file system can promise that."""
    file.write(json.dumps(record) + "\n")
    flush(file)


def flush(file: TextIO) -> None:
    """Bring what was written to the disk."""
    file.flush()
    sync(file.fileno())


def rewrite(path: Path, lines: Iterable[Line]) -> None:
    """Make a file of these lines, which may be its own, in this order; it is never seen half-written."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("wb") as target:
        for source, group in _by_file(lines):
            with source.open("rb") as file:
                for start, length in group:
                    file.seek(start)
                    target.write(file.read(length))
        target.flush()
        sync(target.fileno())
    partial.replace(path)


def _by_file(lines: Iterable[Line]) -> Iterator[tuple[Path, list[tuple[int, int]]]]:
    """Neighbouring lines of the same file, so that each file is opened once per run of them."""
    path: Path | None = None
    group: list[tuple[int, int]] = []
    for file, start, length in lines:
        if path is not None and file != path:
            yield path, group
            group = []
        path = file
        group.append((start, length))
    if path is not None:
        yield path, group


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        flush(file)
    partial.replace(path)


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object; DllmkitError, which says that the file is not `what`, if it holds something else."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(read, dict):
            return read
        problem = "expected a JSON object"
    except ValueError as error:
        problem = str(error)
    raise DllmkitError(f"{path} is not {what}: {problem}")


def sync(file: int) -> None:
    """Ask for the disk; a file system without fsync has nothing better to offer."""
    with suppress(OSError):
        os.fsync(file)


def lock(path: Path) -> int | None:
    """Hold a folder for this process, where the system can; it is released when the process ends in any way."""
    try:
        import fcntl
    except ImportError:
        return None
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise DllmkitError(
            f"{path} is being written by another dllmkit run: wait for it, or choose another folder"
        ) from None
    except OSError:  # a file system without locks
        pass
    return folder


@contextmanager
def writing(path: Path, clean_up: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn what the system says against writing to `path` into a DllmkitError; any exception calls `clean_up` first."""
    try:
        yield
    except OSError as error:
        clean_up()
        raise DllmkitError(f"{path} cannot be written: {error.strerror}") from error
    except BaseException:
        clean_up()
        raise
