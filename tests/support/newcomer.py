"""A new environment as a newcomer has it: pip, the packages of this one, and the command on the path."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from shell import ROOT, Outcome

OFFLINE = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}  # "0" is pip's way to switch it on


@dataclass(frozen=True)
class Environment:
    """A virtual environment in a folder, and the variables that commands run with."""

    folder: Path
    bin: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> Outcome:
        """Run a command away from the checkout, without the variables that could show it the way."""
        path = f"{self.bin}:/usr/bin:/bin"
        given = {
            "PATH": path,
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "132",
        }
        done = subprocess.run(
            command,
            env={**given, **OFFLINE, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def install(self, *packages: Path) -> None:
        """Install packages from folders with pip, without a network."""
        done = self.run(self.python, "-m", "pip", "install", "--quiet", *map(str, packages))
        assert done.status == 0, done.err


def new_environment(folder: Path) -> Environment:
    """Make a virtual environment that sees the packages of this one and the checkout."""
    venv.create(folder / "venv", with_pip=True)
    (own,) = (folder / "venv").glob("[Ll]ib/**/site-packages")
    installed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    seen = [*installed, str(ROOT), str(ROOT / "plugins")]
    (own / "seen.pth").write_text("".join(f"{path}\n" for path in dict.fromkeys(seen)))
    environment = Environment(folder, folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin"))
    script = environment.bin / "dllmkit"
    script.write_text(f'#!/bin/sh\nexec "{environment.python}" -m dllmkit "$@"\n')
    script.chmod(0o755)
    return environment
