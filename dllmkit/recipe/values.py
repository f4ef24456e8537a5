"""Values read from a recipe, checked against a dataclass and made into an object of it."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dllmkit.errors import ParameterError, PluginError, nearest
from dllmkit.parameters import describe_parameters, range_problems


class Unusable:
    """Stands for a value that a problem has been reported for already."""


UNUSABLE = Unusable()


def make(
    cls: type,
    path: str,
    values: Mapping[str, Any],
    problems: list[str],
    *,
    known: Sequence[str] | None = None,
    elsewhere: Callable[[str], str | None] = lambda key: None,
) -> Any | None:
    """Build a dataclass from a recipe's values, or return None and append everything that is wrong to `problems`.

    `path` is where the values stand in the recipe. An unknown key gets the nearest of `known` (the class's fields), unless
    `elsewhere` knows where it belongs.
    """
    declared = {f.name: f for f in dataclasses.fields(cls) if f.init}
    for key in values:
        if key not in declared:
            hint = (
                elsewhere(key) or nearest(key, known or declared)
                if known or declared
                else f"{cls.__name__} has no parameters"
            )
            problems.append(f"unknown key '{path}.{key}': {hint}")
    before = len(problems)
    given = {key: value for key, value in values.items() if key in declared}
    converted = _convert(cls, path, {k: v for k, v in given.items() if v is not UNUSABLE}, problems)
    types = {info.name: f"{_null(info.type)} {info.range}".rstrip() for info in describe_parameters(cls)}
    for name, f in declared.items():
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and name not in given:
            problems.append(f"{path}.{name} is missing, expected {types[name]}")
    complete = len(problems) == before and len(converted) == len(given)
    metadata = {name: f.metadata for name, f in declared.items()}
    problems += [f"{path}.{problem}" for problem in range_problems(metadata, converted)]
    return _construct(cls, path, converted, problems) if complete else None


def field_values(instance: Any) -> dict[str, Any]:
    """Return a dataclass's fields as plain values, as they are written in a recipe."""
    return {f.name: plain(getattr(instance, f.name)) for f in dataclasses.fields(instance) if f.init}


def show(value: Any) -> str:
    """Write a value as messages show it: as YAML spells null, true and false."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def plain(value: Any) -> Any:
    """Turn a value of a dataclass field into what YAML and JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.name
    return str(value) if isinstance(value, Path) else value


def _convert(cls: type, path: str, values: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Convert each value to its field's type, as OmegaConf does; report those that cannot be."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    hints = typing.get_type_hints(cls)
    try:
        schema = OmegaConf.structured(cls)
    except (OmegaConfBaseException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise PluginError(f"the fields of {cls.__name__} cannot be read from a recipe: {reason}") from error
    OmegaConf.set_readonly(schema, False)  # the schema of a frozen class is read-only
    converted = {}
    for key, value in values.items():
        try:
            if isinstance(value, bool) and not _accepts_bool(hints[key]):
                raise TypeError  # OmegaConf would write a bool as a string
            OmegaConf.update(schema, key, value)
            held = schema[key]
        except (OmegaConfBaseException, TypeError, ValueError):
            problems.append(f"{path}.{key} = {show(value)}, expected {_type_name(hints[key])}")
            continue
        held = OmegaConf.to_container(held) if OmegaConf.is_config(held) else held
        converted[key] = tuple(held) if isinstance(held, list) and _accepts_tuple(hints[key]) else held
    return converted


def _construct(cls: type, path: str, values: Mapping[str, Any], problems: list[str]) -> Any | None:
    before = set(problems)
    try:
        return cls(**values)
    except ParameterError as error:
        named = [problem.removeprefix(f"{cls.__name__}: ") for problem in error.problems]
        keys = {f.name for f in dataclasses.fields(cls)}
        said = [f"{path}.{p}" if p.partition(" ")[0] in keys else f"{path}: {p}" for p in named]
        problems += [problem for problem in said if problem not in before]
    except (ValueError, TypeError) as error:
        problems.append(f"{path}: {error}")
    except Exception as error:  # a stranger's component may fail in any way
        problems.append(f"{path}: {cls.__name__} failed: {type(error).__name__}: {error}")
    return None


def _parts(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the hint alone."""
    origin = typing.get_origin(hint)
    return typing.get_args(hint) if origin is typing.Union or isinstance(hint, type(int | str)) else (hint,)


def _accepts_bool(hint: Any) -> bool:
    return any(part in (bool, Any) or typing.get_origin(part) is typing.Literal for part in _parts(hint))


def _accepts_tuple(hint: Any) -> bool:
    return any((typing.get_origin(part) or part) is tuple for part in _parts(hint))


def _type_name(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")
    return _null(text)


def _null(type_name: str) -> str:
    return type_name.replace("NoneType", "null").replace("None", "null")
