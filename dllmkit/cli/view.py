"""`dllmkit view`: a page, and figures, of what a run did."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dllmkit.errors import DllmkitError
from dllmkit.view.runs import ViewedRun

PAGE = "view.html"


def view(
    runs: Sequence[str],
    row: int | None = None,
    out: str | None = None,
    png: str | None = None,
    show: bool | None = None,
) -> None:
    """Write the page of one run or two, and figures; see `dllmkit view --help`."""
    if len(runs) > 2:
        raise DllmkitError(f"{len(runs)} runs given, expected one, or two to be shown side by side")
    opened = [ViewedRun.open(Path(run)) for run in runs]
    written = _write(Path(out) if out is not None else opened[0].path / PAGE, opened, row)
    print(written)
    if png is not None:
        from dllmkit.view.figures import draw

        for figure in draw(opened, row, Path(png)):
            print(figure)
    if show if show is not None else sys.stdout is not None and sys.stdout.isatty():
        import webbrowser

        if not webbrowser.open(written.resolve().as_uri()) and show:
            raise DllmkitError(f"no browser was found: open {written} in one")


def _write(path: Path, runs: Sequence[ViewedRun], row: int | None) -> Path:
    from dllmkit.view.page import render

    page = render(runs, row)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DllmkitError(f"{path} cannot be written: {error.strerror}") from error
    return path
