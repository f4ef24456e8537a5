"""Write the pages that are made from the code: `python docs/generate.py`; `--check` says which are out of date instead."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli_page import cli_page
from tables_page import tables_page

from dllmkit.models import family
from dllmkit.observe.metrics import DEFINITIONS
from dllmkit.parameters import ParameterInfo, describe_parameters
from dllmkit.plugins import load_plugins
from dllmkit.recipe.schema import SECTIONS
from dllmkit.recipe.values import plain, show
from dllmkit.registry import SLOTS, Registry

HERE = Path(__file__).resolve().parent
METRICS = HERE / "concepts" / "metrics.md"

HEAD = """# Recipe keys and components

Made from the code by `python docs/generate.py`; a test fails when it is out of date.

## Recipe keys

`extends` names one recipe that this one is laid over. `decode` also holds a component for each hook point
(`block_scheduler`, `context_window`, `cache_policy`, `unmask_selector`) and the list `stop_rules`; see
[layers and overrides](../concepts/plugins-and-recipes.md#recipes)."""

SOURCE_HEAD = """---
search:
  exclude: true
---

# Source of the components

Made from the registry by `python docs/generate.py`. Each component is one class in one module; open it to read it.
What it computes is on the page of its [method](../methods/index.md), its parameters are in [recipe keys and
components](components.md)."""

TITLES = {
    "block_scheduler": "Block schedulers: which masks may be committed now",
    "context_window": "Context windows: what the model may attend to",
    "cache_policy": "Cache policies: what is recomputed",
    "unmask_selector": "Unmask selectors: which eligible masks become tokens",
    "stop_rule": "Stop rules: when a row ends early",
    "model_family": "Model families: which checkpoints can be read",
}


def components_page() -> str:
    """The page of recipe keys and built-in components, as Markdown."""
    registry = load_plugins(
        environ={"DLLMKIT_PLUGINS": ""}
    ).registry  # this distribution's plugins, whatever else is installed
    parts = [HEAD]
    for name, section in SECTIONS.items():
        parts += [f"### `{name}`", _sentence(section), _table(section)]
    for slot in SLOTS:
        parts += [f"## {TITLES[slot]}", *_components(registry, slot)]
    return "\n\n".join(part for part in parts if part) + "\n"


def metrics_page() -> str:
    """The page of metrics with its table made from the definitions; the text around it is written by hand."""
    before, _, rest = METRICS.read_text(encoding="utf-8").partition("| metric | definition |")
    after = rest.partition("\n\n")[2]
    rows = [f"| `{name}` | {_cell(definition)} |" for name, definition in DEFINITIONS.items()]
    return before + "\n".join(["| metric | definition |", "|---|---|", *rows]) + "\n\n" + after


def source_page() -> str:
    """The page of the components' code, module by module, as Markdown that includes the files."""
    registry = load_plugins(environ={"DLLMKIT_PLUGINS": ""}).registry
    parts, shown = [SOURCE_HEAD], set()
    for slot in SLOTS:
        parts.append(f"## {TITLES[slot].partition(':')[0]}")
        for name in registry.names(slot):
            path = Path(inspect.getfile(registry.resolve(slot, name)))
            shown.add(path)
            parts += [f"### `{name}`", _included(path)]
    parts.append("## Shared by components of a plugin")
    for folder in sorted({path.parent for path in shown} - {Path(inspect.getfile(family)).parent}):
        for path in sorted(set(folder.glob("*.py")) - shown - {folder / "__init__.py"}):
            parts += [f"### `{folder.name}.{path.stem}`", _included(path)]
    return "\n\n".join(parts) + "\n"


def _included(path: Path) -> str:
    name = path.relative_to(HERE.parent).as_posix()
    return f'??? example "{name}"\n\n    ```{{ .python }}\n    --8<-- "{name}"\n    ```'


def _components(registry: Registry, slot: str) -> Iterator[str]:
    for name in registry.names(slot):
        component = registry.resolve(slot, name)
        yield f"### `{name}`"
        yield f"{_sentence(component)} (`{registry.get(slot, name).provider.package}`)"
        if slot != "model_family":
            yield from _paragraphs(component)
            yield _table(component)
            yield from _rules(component)


def _sentence(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _paragraphs(documented: Any) -> Iterator[str]:
    for paragraph in (inspect.getdoc(documented) or "").split("\n\n")[1:]:
        yield " ".join(paragraph.split())


def _table(described: type) -> str:
    rows = [_row(p) for p in describe_parameters(described)]
    if not rows:
        return "" if dataclasses.fields(described) else "No parameters."
    return "\n".join(["| key | type | default | range | |", "|---|---|---|---|---|", *rows])


def _row(p: ParameterInfo) -> str:
    kind = _cell(p.type.replace(" | None", " or null"))
    default = "required" if p.required else f"`{_cell(show(plain(p.default)))}`"
    return f"| `{p.name}` | `{kind}` | {default} | {_cell(p.range)} | {_cell(p.doc)} |"


def _rules(component: Any) -> Iterator[str]:
    for kind, words in (("requires", "Needs"), ("conflicts", "Cannot go with")):
        rules = getattr(component, kind, ())
        if isinstance(rules, property):  # they depend on the parameters; the docstring says how
            yield _sentence(rules)
            continue
        for rule in rules:
            names = " or ".join(f"`{name}`" for name in rule.names)
            yield f"{words} {rule.slot.replace('_', ' ')} {names}: {rule.reason}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {
    HERE / "reference" / "components.md": components_page,
    HERE / "reference" / "cli.md": cli_page,
    HERE / "reference" / "source.md": source_page,
    HERE / "papers" / "tables.md": tables_page,
    METRICS: metrics_page,
}


def main() -> int:
    """Write all pages, or check them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    check = options.parse_args().check
    old = [path for path, page in PAGES.items() if not path.exists() or path.read_text(encoding="utf-8") != page()]
    for path in old:
        if check:
            print(f"out of date: {path.relative_to(HERE.parent)}; run python docs/generate.py", file=sys.stderr)
        else:
            path.write_text(PAGES[path](), encoding="utf-8")
            print(f"wrote {path.relative_to(HERE.parent)}")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
