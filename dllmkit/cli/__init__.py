"""The command line. A mistake of the user is one message and status 2; a traceback is a bug of ours."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, TextIO

from dllmkit.errors import DllmkitError, PluginWarning


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command `dllmkit` and exit: 0 if it did its work, 2 if it could not, 130 if it was interrupted."""
    from dllmkit.cli.app import app

    with warnings.catch_warnings():
        warnings.simplefilter("once", PluginWarning)
        others = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if issubclass(category, PluginWarning):
                print(f"warning: {message}", file=sys.stderr)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        try:
            app(args=arguments, prog_name="dllmkit")
        except DllmkitError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)
    sys.exit(0)
