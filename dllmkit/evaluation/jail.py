"""The inside of the sandbox: limits this process for good, then runs a program that it reads from standard input.

Runs alone, as `python -I -S -B -c SOURCE`, and imports nothing of dllmkit. The first line of standard input is JSON (limits,
and a secret), the rest is the program. The secret goes to standard output when the program has ended without an exception, so
that a program which exits early, whatever its status, has not passed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

FORBIDDEN = (
    "os.fork",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "subprocess.",
    "pty.",
    "socket.",
    "ctypes.",
)
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.chmod",
           "os.chown", "os.utime", "os.chdir", "os.kill", "os.killpg", "shutil.")  # fmt: skip


def confine(limits: dict[str, Any]) -> None:
    """Give up privileges and resources; nothing of this can be taken back."""
    if limits["user"] is not None:
        os.setgroups([])
        os.setgid(limits["user"])
        os.setuid(limits["user"])
    for name, most in (
        ("RLIMIT_CPU", limits["cpu_seconds"]),
        ("RLIMIT_AS", limits["memory_bytes"]),
        ("RLIMIT_FSIZE", limits["file_bytes"]),
        ("RLIMIT_NPROC", limits["processes"]),
        ("RLIMIT_NOFILE", 32),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is not None:
            resource.setrlimit(kind, (most, most))


def watch(folder: str) -> None:
    """Refuse processes, sockets and changes to files outside `folder`, for what limits alone do not stop."""
    root = os.path.realpath(folder) + os.sep
    inside = os.path.realpath

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (
                os.O_WRONLY | os.O_RDWR | os.O_CREAT
            )
            if not writes:
                return
            paths: tuple[Any, ...] = (path,)
        elif event.startswith(CHANGES):
            paths = tuple(one for one in arguments if isinstance(one, (str, bytes, os.PathLike)))
            if not paths:
                raise PermissionError(f"{event} is not allowed here")
        elif event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is not allowed here")
        else:
            return
        for one in paths:
            if not isinstance(one, int) and not (inside(os.fsdecode(one)) + os.sep).startswith(root):
                raise PermissionError(f"{event} outside of the sandbox's folder is not allowed")

    sys.addaudithook(hook)


def main() -> None:
    """Read limits and program, run it, and tell the secret if it ended well."""
    limits = json.loads(sys.stdin.buffer.readline())
    program = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    tell = os.dup(1)
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    secret = limits.pop("secret").encode()
    confine(limits)
    watch(os.getcwd())
    exec(compile(program, "<program>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    os.write(tell, secret)
    os._exit(0)  # whatever the program left to run at exit


if __name__ == "__main__":
    main()
