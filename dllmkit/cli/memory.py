"""An allocation that failed, as a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dllmkit.errors import DllmkitError


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn an allocation that failed while decoding into a DllmkitError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's OutOfMemoryError is a RuntimeError
        text = str(error)
        if not isinstance(error, MemoryError) and "allocate memory" not in text and "out of memory" not in text:
            raise
        hint = "try a smaller runtime.batch_size or decode.gen_length"
        raise DllmkitError(
            f"out of memory while decoding ({' '.join(text.split())[:120] or 'MemoryError'}): {hint}"
        ) from None
