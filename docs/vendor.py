"""Bring KaTeX and mermaid into docs/assets/vendor, from npm: `python docs/vendor.py`.

Versions and hashes are pinned here; the files are not committed. Without them the site still builds, and shows equations and
diagrams as the text that they are written in. Nothing is fetched when the files are there.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

VENDOR = Path(__file__).resolve().parent / "assets" / "vendor"


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, the hash of its archive, and what is taken out of it (patterns)."""

    name: str
    version: str
    sha512: str  # base64, as npm writes it
    wanted: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where its files go; the version is in the name, so that a new one is fetched."""
        return VENDOR / f"{self.name}-{self.version}"


KATEX = Package(
    "katex",
    "0.19.1",
    "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA==",
    ("LICENSE", "dist/katex.min.js", "dist/katex.min.css", "dist/fonts/*.woff2"),
)
MERMAID = Package(
    "mermaid",
    "11.17.2",
    "V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
    ("LICENSE", "dist/mermaid.min.js"),
)
PACKAGES = (KATEX, MERMAID)


class Unreachable(Exception):
    """npm is missing, or its registry does not answer."""


def fetch(package: Package) -> None:
    """Download a package, check its hash and unpack what is wanted; SystemExit if the hash is another one."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("npm is not installed")
    with tempfile.TemporaryDirectory() as name:
        command = [npm, "pack", "--silent", f"{package.name}@{package.version}"]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, timeout=300)
        archives = list(Path(name).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise Unreachable(f"{' '.join(command[1:])}: {reason}")
        found = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if found != package.sha512:
            raise SystemExit(
                f"error: {package.name}@{package.version} has sha512 {found}, expected {package.sha512}: not used"
            )
        unpack(archives[0], package)


def unpack(archive: Path, package: Package) -> None:
    """Put the wanted files in place, all or none."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VENDOR) as name, tarfile.open(archive) as tar:
        unpacked = Path(name) / package.folder.name
        for member in tar.getmembers():
            inside = member.name.partition("/")[2]  # without npm's "package/"
            if member.isfile() and any(fnmatch(inside, pattern) for pattern in package.wanted):
                source = tar.extractfile(member)
                assert source is not None
                target = unpacked / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
        unpacked.rename(package.folder)


def main() -> int:
    """Fetch what is missing; status 3 if it cannot be reached, unless that is allowed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--if-reachable", action="store_true", help="only warn when npm or its registry is missing")
    allowed = options.parse_args().if_reachable
    try:
        for package in PACKAGES:
            if not package.folder.exists():
                fetch(package)
                print(f"{package.name} {package.version} -> docs/assets/vendor")
    except Unreachable as error:
        print(f"{'warning' if allowed else 'error'}: equations and diagrams stay text: {error}", file=sys.stderr)
        return 0 if allowed else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
