"""A subprocess for code that a model wrote: limited, without network where the system can, in an empty folder.

This keeps mistakes from doing harm. It is no wall against an attacker, for whom a virtual machine is the right tool.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dllmkit.errors import DllmkitError

_NOBODY = 65534
_NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child=SIGKILL")
_PROBE = "import collections, heapq, itertools, math, random, re, string, typing\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use."""

    seconds: float = 10.0  # of the clock
    cpu_seconds: int = 10
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: `passed` if it ran to its last line without an exception."""

    passed: bool
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A way to confine programs that works on this system; make one with `here`."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def here(cls, limits: Limits | None = None) -> Sandbox:
        """Return the strictest sandbox that a probe shows to work; DllmkitError if none does."""
        if os.name != "posix":
            raise DllmkitError("generated code is executed on POSIX systems only: its limits have no equivalent here")
        root = os.geteuid() == 0
        spaces: list[tuple[str, ...]] = [_NAMESPACES if root else (*_NAMESPACES, "--map-root-user"), ()]
        for user in [_NOBODY, None] if root else [None]:
            for prefix in spaces:
                sandbox = cls(prefix, user, limits or Limits())
                if sandbox.run(_PROBE).passed:
                    return sandbox
        raise DllmkitError("no sandbox works on this system: a program of imports alone did not run in it")

    @property
    def network(self) -> bool:
        """Whether programs could reach a network if they got past the checks in their own process."""
        return not self.prefix

    def describe(self) -> dict[str, object]:
        """What results say of it."""
        return {"namespaces": bool(self.prefix), "own_user": self.user is not None, "limits": asdict(self.limits)}

    def run(self, program: str) -> Outcome:
        """Run a Python program with the standard library alone, and nothing to read or to see."""
        secret = secrets.token_hex(16)
        limits = {**asdict(self.limits), "user": self.user, "secret": secret}
        given = json.dumps(limits).encode() + b"\n" + program.encode("utf-8", "surrogatepass")
        source = Path(__file__).with_name("jail.py").read_text(encoding="utf-8")
        command = [*self.prefix, os.path.realpath(sys.executable), "-I", "-S", "-B", "-c", source]
        with tempfile.TemporaryDirectory(prefix="dllmkit-", ignore_cleanup_errors=True) as name:
            folder, told = Path(name) / "empty", Path(name) / "told"
            folder.mkdir()
            if self.user is not None:
                os.chmod(name, 0o711)
                os.chown(folder, self.user, self.user)
            timed_out = _run(command, given, folder, told, self.limits.seconds)
            passed = (
                not timed_out and told.stat().st_size == len(secret) and told.read_text("ascii", "replace") == secret
            )
        return Outcome(passed, timed_out)


def _run(command: Sequence[str], given: bytes, folder: Path, told: Path, seconds: float) -> bool:
    """Run to the end or for `seconds`, then leave none of its processes; whether time ran out."""
    environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    with told.open("wb") as out:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL, cwd=folder, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError:  # no such command here
            return False
        try:
            with suppress(BrokenPipeError):
                process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired:
            return True
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return False
