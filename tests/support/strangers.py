"""Packages of strangers, laid out in a folder as an installer leaves them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

HEAD = "from dataclasses import dataclass\nfrom dllmkit.hookspecs import hookimpl\nfrom dllmkit.parameters import *\n"


def install(folder: Path, name: str, source: str, *, entry: str | None = None, head: str = HEAD) -> None:
    """Put module `name` into a folder that is on the import path, with an entry point and the metadata of version 1.0."""
    (folder / f"{name}.py").write_text(head + dedent(source))
    info = folder / f"{name}_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dllmkit]\n{name} = {entry or name}\n")
