"""Reading the fields of a `config.json`, with every problem reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllmkit.errors import ModelError

_REQUIRED = object()


class Fields:
    """Collects what is wrong with a `config.json` while a family reads it; `check` raises all of it as one ModelError."""

    def __init__(self, family: str, config: Mapping[str, Any]) -> None:
        self._family = family
        self._config = config
        self._problems: list[str] = []

    def only(self, **supported: tuple[Any, ...]) -> None:
        """Require fields to have one of the supported values; None among them allows the field to be absent."""
        for name, values in supported.items():
            value = self._config.get(name)
            if not any(value is v or (value == v and type(value) is type(v)) for v in values):
                named = " or ".join(repr(v) for v in values if v is not None) or "absent"
                self._problems.append(f"{self._seen(name)} (supported: {named})")

    def integer(self, name: str, default: Any = _REQUIRED, *, below: int | None = None, least: int = 1) -> int:
        """Return a field as an integer of at least `least` and less than `below`; absent or null means `default`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(name, "an integer")
        elif value < least or (below is not None and value >= below):
            top = f" and less than {below}" if below is not None else ""
            self._wrong(name, f"an integer of at least {least}{top}")
        else:
            return value
        return least

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """Return a field as a positive number; absent or null means `default`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e30:
            self._wrong(name, "a positive number")
            return 1.0
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a field as a boolean; absent or null means `default`."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            self._wrong(name, "true or false")
        return bool(value)

    def token(self, name: str, vocab_size: int) -> int:
        """Return a field as a token id."""
        return self.integer(name, least=0, below=max(vocab_size, 1))

    def optional_token(self, name: str, vocab_size: int) -> int | None:
        """Return a field as a token id, or None where it is absent or null."""
        return self.token(name, vocab_size) if self._config.get(name) is not None else None

    def ends(self, name: str, vocab_size: int, *, text: int, turn: int) -> tuple[int, ...]:
        """Return the ids that end an answer: a field that holds one id or a list of them.

        Where it holds only `text`, the end of text of the published vocabulary, that vocabulary's end of a chat turn,
        `turn`, is added: chat models end their answers with it, and no config field says so.
        """
        value = self._get(name, _REQUIRED)
        ids = value if isinstance(value, list) and value else [value]
        if not all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < vocab_size for i in ids):
            self._wrong(name, f"a token id, or a list of them, from 0 to {vocab_size - 1}")
            return ()
        return (text, turn) if ids == [text] and turn < vocab_size else tuple(ids)

    def divides(self, part: str, whole: str, small: int, large: int) -> None:
        """Require that field `part` divides field `whole`."""
        if large % small:
            self._problems.append(f"{whole} = {large} is not a multiple of {part} = {small}")

    def check(self) -> None:
        """Raise ModelError if anything was wrong."""
        if self._problems:
            raise ModelError(
                f"config.json of a '{self._family}' checkpoint cannot be used: {'; '.join(self._problems)}"
            )

    def _get(self, name: str, default: Any) -> Any:
        value = self._config.get(name)
        return default if value is None and default is not _REQUIRED else value

    def _seen(self, name: str) -> str:
        return f"{name} = {self._config[name]!r}" if name in self._config else f"{name} is missing"

    def _wrong(self, name: str, expected: str) -> None:
        self._problems.append(f"{self._seen(name)} (expected {expected})")
