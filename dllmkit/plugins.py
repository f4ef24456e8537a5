"""Loading plugins: the built-in packages first, then what is installed; a broken one is reported and left out."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from dllmkit import hookspecs
from dllmkit.errors import PluginError, PluginWarning, nearest
from dllmkit.registry import Provider, Registry

BUILT_IN = (
    "dllmkit_baseline",
    "dllmkit_fast_dllm",
    "dllmkit_streaming",
    "dllmkit_dsb",
    "dllmkit_dawn",
    "dllmkit_local_leap",
    "dllmkit_klass",
)
"""Import packages of this distribution, registered in this order; loaded by name, so that a plain checkout works too."""

GROUP = hookspecs.PROJECT
RESTRICT = "DLLMKIT_PLUGINS"
HOOKS = {
    "dllmkit_block_schedulers": "block_scheduler",
    "dllmkit_context_windows": "context_window",
    "dllmkit_cache_policies": "cache_policy",
    "dllmkit_unmask_selectors": "unmask_selector",
    "dllmkit_stop_rules": "stop_rule",
    "dllmkit_model_families": "model_family",
}
"""The slot that each hook fills."""


@dataclass(frozen=True)
class PluginProblem:
    """What is wrong with a plugin; the rest of it, and all others, are in use."""

    provider: Provider
    message: str

    def __str__(self) -> str:
        return f"{self.provider}: {self.message}"


@dataclass(frozen=True)
class LoadedPlugins:
    """Everything that plugins offer; `problems` lists what could not be used."""

    registry: Registry
    providers: tuple[Provider, ...]
    recipe_dirs: tuple[Path, ...]
    problems: tuple[PluginProblem, ...]

    def warn(self, stacklevel: int = 2) -> None:
        """Issue a PluginWarning for each problem; the command line prints them on standard error."""
        for problem in self.problems:
            warnings.warn(str(problem), PluginWarning, stacklevel + 1)


@dataclass(frozen=True)
class _Candidate:
    provider: Provider
    entry: EntryPoint | str | object  # an entry point or a module name to load, or a plugin that is loaded already

    def load(self) -> object:
        if isinstance(self.entry, EntryPoint):
            return self.entry.load()
        return importlib.import_module(self.entry) if isinstance(self.entry, str) else self.entry


def load_plugins(
    extra: Sequence[object] = (),
    environ: Mapping[str, str] | None = None,
    built_in: Sequence[str] = BUILT_IN,
) -> LoadedPlugins:
    """Load all plugins: built-in packages, then `extra` objects with hooks, then installed third parties by name.

    The environment variable `DLLMKIT_PLUGINS=a,b` restricts third parties to those entry points or distributions; empty, to
    none. Nothing is raised for a broken plugin: see `LoadedPlugins.problems`.
    """
    installed = _third_parties()
    chosen, problems = _restrict(installed, os.environ if environ is None else environ)
    candidates = [_Candidate(Provider(package, package, "dllmkit"), package) for package in built_in]
    candidates += [_Candidate(_provider_of(plugin), plugin) for plugin in extra]
    candidates += chosen
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    registry, providers, folders = Registry(), [], []
    for candidate in candidates:
        provider = candidate.provider
        try:
            plugin = candidate.load()
            manager.register(plugin, f"{provider.name} = {provider.package}")
        except (Exception, SystemExit) as error:  # a stranger's module may fail in any way
            problems.append(PluginProblem(provider, f"could not be loaded: {_reason(error)}"))
            continue
        providers.append(provider)
        for hook, result in _results(manager, plugin, provider, problems):
            try:
                if hook == "dllmkit_recipe_dirs":
                    folders += _folders(result)
                else:
                    _add_all(registry, hook, result, provider, problems)
            except PluginError as error:
                problems.append(PluginProblem(provider, f"hook {hook} {error}"))
    return LoadedPlugins(registry, tuple(providers), tuple(folders), tuple(problems))


def _third_parties() -> list[_Candidate]:
    found = []
    for entry in entry_points(group=GROUP):
        if entry.module.partition(".")[0] in BUILT_IN:
            continue
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else None
        found.append(_Candidate(Provider(entry.name, entry.module, distribution), entry))
    return sorted(found, key=lambda c: (c.provider.name, c.provider.distribution or ""))


def _restrict(installed: list[_Candidate], environ: Mapping[str, str]) -> tuple[list[_Candidate], list[PluginProblem]]:
    """Apply the environment variable; a name in it that is not installed is a problem of its own."""
    if RESTRICT not in environ:
        return installed, []
    wanted = [word.strip() for word in environ[RESTRICT].split(",") if word.strip()]
    words = {id(c): {c.provider.name, (c.provider.distribution or "").partition(" ")[0]} for c in installed}
    known = {word for names in words.values() for word in names if word}
    problems = [
        PluginProblem(Provider(word, word), f"is named in {RESTRICT} but not installed: {nearest(word, known)}")
        for word in wanted
        if word not in known
    ]
    return [c for c in installed if words[id(c)] & set(wanted)], problems


def _provider_of(plugin: object) -> Provider:
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return Provider(name, getattr(plugin, "__module__", name))


def _results(
    manager: pluggy.PluginManager, plugin: object, provider: Provider, problems: list[PluginProblem]
) -> Iterator[tuple[str, Any]]:
    """Call each hook of one plugin alone, so that the error of one does not hide the others."""
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        problems.append(PluginProblem(provider, "has no hook: mark functions with @dllmkit.hookspecs.hookimpl"))
    for caller in callers:
        hook = caller.name
        if not caller.has_spec():
            message = f"implements the unknown hook '{hook}': {nearest(hook, [*HOOKS, 'dllmkit_recipe_dirs'])}"
            problems.append(PluginProblem(provider, message))
            continue
        (implementation,) = (i for i in caller.get_hookimpls() if i.plugin is plugin)
        try:
            yield hook, implementation.function()
        except (Exception, SystemExit) as error:
            problems.append(PluginProblem(provider, f"hook {hook} failed: {_reason(error)}"))


def _add_all(registry: Registry, hook: str, result: Any, provider: Provider, problems: list[PluginProblem]) -> None:
    if not isinstance(result, Mapping):
        raise PluginError(f"returned {result!r}, expected a mapping of names to classes")
    for name, target in result.items():
        try:
            registry.add(HOOKS[hook], name, target, provider)
        except PluginError as error:
            problems.append(PluginProblem(provider, str(error)))


def _folders(result: Any) -> list[Path]:
    if not isinstance(result, (list, tuple)) or not all(isinstance(folder, (str, Path)) for folder in result):
        raise PluginError(f"returned {result!r}, expected a list of folders")
    folders = [Path(folder) for folder in result]
    for folder in folders:
        if not folder.is_dir():
            raise PluginError(f"returned '{folder}', which is not a folder")
    return folders


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
