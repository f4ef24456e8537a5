"""Where prompts come from, and what is said about those that cannot be used."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from dllmkit.cli import prompts
from dllmkit.cli.prompts import collect, read_file
from dllmkit.errors import RequestError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        raise AssertionError("a terminal must not be read")


def piped(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="ascii", errors="surrogateescape")


def test_order_of_sources(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("three\nfour\n")
    assert collect(["one", "two"], str(file), ["sample"], piped(b"stdin")) == ["one", "two", "three", "four"]
    assert collect([], str(file), ["sample"], piped(b"stdin")) == ["three", "four"]
    assert collect([], None, ["sample"], piped(b"stdin\nin two lines\n\n")) == ["stdin\nin two lines"]
    assert collect([], None, ["sample"], piped(b"")) == ["sample"]
    assert collect([], None, ["sample"], Terminal()) == ["sample"]


def test_standard_input_is_utf8_whatever_the_locale() -> None:
    assert collect([], None, [], piped("Zoë 数".encode())) == ["Zoë 数"]
    with pytest.raises(RequestError, match="standard input is not UTF-8: byte 0xff in line 2"):
        collect([], None, [], piped(b"a\n\xff"))


def test_waiting_for_standard_input_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prompts, "PATIENCE", 0.01)
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "w") as source:
        real = stdin.buffer.read

        def read() -> bytes:
            source.write("late")
            source.close()
            return real()

        class Late:
            closed, buffer = False, type("Buffer", (), {"read": staticmethod(read)})
            fileno, isatty = stdin.fileno, stdin.isatty

        assert collect([], None, [], Late()) == ["late"]  # type: ignore[arg-type]
    assert capsys.readouterr().err == "reading the prompt from standard input (or give --prompt TEXT)\n"


@pytest.mark.parametrize(
    ("given", "stdin", "message"),
    [
        ([], b"", "no prompt: give --prompt TEXT, --prompts FILE, standard input, or prompts.samples in the recipe"),
        ([], b" \n", "prompt 0 is empty"),
        (["a", ""], b"", "prompt 1 is empty"),
        (["\t "], b"", "prompt 0 is empty"),
        (["caf\udce9"], b"", r"prompt 0 is not valid Unicode text: 'caf\\udce9'"),
    ],
)
def test_unusable_prompts(given: list[str], stdin: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        collect(given, None, [], piped(stdin))


def test_text_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffone \r\n\n  \n2\u2028still 2\n{}".encode())
    assert read_file(str(file)) == ["one ", "2\u2028still 2", "{}"]


def test_jsonl_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a\\nb", "id": 7}\n\n"text"\n[1, 2]\n{"prompt": [3]}\n"x\u2028y"\n', encoding="utf-8")
    assert read_file(str(file)) == ["a\nb", "text", [1, 2], [3], "x\u2028y"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', "line 2 is not JSON: Expecting ',' delimiter at column 15"),
        ('{"text": "a"}', "line 2 has no key 'prompt'; its keys: 'text'"),
        ("{}", "line 2 has no key 'prompt'; its keys: none"),
        ("3", "line 2: the prompt is int, expected text or a list of token ids"),
        ('{"prompt": null}', "line 2: the prompt is NoneType"),
        ("[1, 2.0]", "line 2: the prompt is list"),
        ("[true]", "line 2: the prompt is list"),
        ("9" * 5000, "line 2 cannot be read: Exceeds the limit"),
        ("[" * 200_000, "line 2 cannot be read: "),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'"good"\n{line}\n')
    with pytest.raises(RequestError, match=message):
        read_file(str(file))


def test_bad_files(tmp_path: Path) -> None:
    binary, empty, other = tmp_path / "binary.txt", tmp_path / "empty.txt", tmp_path / "list.json"
    binary.write_bytes(b"fine\n\xe9\n")
    empty.write_text("\n \n")
    other.write_text('["a"]')
    for path, message in (
        (binary, "is not UTF-8: byte 0xe9 in line 2"),
        (empty, "holds no prompt"),
        (other, "expected a text file with one prompt a line, or a .jsonl file"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "gone.txt", "no such file: .*gone.txt"),
    ):
        with pytest.raises(RequestError, match=message):
            read_file(str(path))
