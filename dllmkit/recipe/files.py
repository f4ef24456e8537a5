"""Recipe files: where they are found, and what stands in them before anything is checked."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dllmkit.errors import RecipeError, nearest


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as found: how messages name it, and its text."""

    label: str
    path: Path

    def read(self) -> dict[str, Any]:
        """Return the mapping in the file; raise RecipeError with line and column if it is not one."""
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problem = f"not UTF-8: byte 0x{error.object[error.start]:02x} in line {line}"
            raise RecipeError(self.label, [problem]) from error
        except OSError as error:
            raise RecipeError(self.label, [f"cannot be read: {error.strerror or error}"]) from error
        return parse_yaml(text, self.label)


def recipe_folders(plugin_folders: Sequence[Path]) -> list[Path]:
    """List the folders that recipe names are looked up in: the package's own, then those of plugins.

    A wheel carries the recipes beside this module; a checkout, editable or not, has them one level up.
    """
    package = Path(__file__).resolve().parents[1]
    packed = package / "_recipes"
    return [packed if packed.is_dir() else package.parent / "recipes", *plugin_folders]


def recipe_names(folders: Sequence[Path]) -> list[str]:
    """List every recipe by name: its path in its folder, without the suffix."""
    return sorted({p.relative_to(d).with_suffix("").as_posix() for d in folders for p in d.rglob("*.yaml")})


def find_recipe(source: str | Path, folders: Sequence[Path], beside: Path | None = None) -> RecipeFile:
    """Find a recipe by path (also relative to the folder `beside`) or by name, `baseline/tiny`; else raise RecipeError."""
    label = str(source)
    for path in [Path(source)] if beside is None else [beside / source, beside / f"{source}.yaml"]:
        if path.is_file():
            return RecipeFile(label, path)
    name = Path(source).as_posix().removeprefix("recipes/").removesuffix(".yaml")
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return RecipeFile(label, path)
    if Path(source).is_dir():
        raise RecipeError(label, ["this is a folder, expected a recipe file"])
    names = recipe_names(folders)
    same_stem = [known for known in names if known.rpartition("/")[2] == name.rpartition("/")[2]]
    hint = f"did you mean '{same_stem[0]}'?" if same_stem else nearest(name, names)
    raise RecipeError(label, [f"there is no recipe file or recipe of this name: {hint}"])


def parse_yaml(text: str, label: str) -> dict[str, Any]:
    """Read the text of a recipe; raise RecipeError if it is not a YAML mapping."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
            raise RecipeError(label, [f"expected a mapping of model, decode, runtime and prompts, found {kind}"])
        read = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise RecipeError(label, [f"malformed YAML: {place}{error.problem or error.context}"]) from error
    except yaml.reader.ReaderError as error:
        line, column = text[: error.position].count("\n") + 1, error.position - text.rfind("\n", 0, error.position)
        what = f"unacceptable character #x{ord(text[error.position]):04x}"
        raise RecipeError(label, [f"malformed YAML: line {line}, column {column}: {what}"]) from error
    except (yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise RecipeError(label, [f"malformed YAML: {_in_one_line(error)}"]) from error
    assert isinstance(read, dict)
    return {str(key): value for key, value in read.items()}


def parse_mapping(source: Mapping[Any, Any], label: str) -> dict[str, Any]:
    """Return a plain copy of a recipe given as a mapping or DictConfig; raise RecipeError if it holds foreign values."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        config = source if isinstance(source, DictConfig) else OmegaConf.create(dict(source))
        read = OmegaConf.to_container(config)
    except (OmegaConfBaseException, ValueError) as error:
        raise RecipeError(label, [_in_one_line(error)]) from error
    assert isinstance(read, dict)
    return {str(key): value for key, value in read.items()}


def _in_one_line(error: BaseException) -> str:
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    key = next((line for line in lines if line.startswith("full_key: ")), "")
    return f"{key.removeprefix('full_key: ')}: {lines[0]}" if key else lines[0] if lines else type(error).__name__
