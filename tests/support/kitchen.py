"""Components for tests of recipes, registered as one plugin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

from dllmkit.hookspecs import hookimpl
from dllmkit.parameters import Rule, check_parameters, param
from dllmkit.plugins import LoadedPlugins, load_plugins


class Side(Enum):
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True)
class Sliding:
    block_length: int = param(32, ge=1)
    max_block_length: int | None = param(None, ge=1)

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.max_block_length is not None and self.max_block_length < self.block_length:
            raise ValueError(
                f"max_block_length = {self.max_block_length}, expected >= block_length = {self.block_length}"
            )


@dataclass(frozen=True)
class Window:
    window: int = param(ge=0)
    keep_last: int = param(1, ge=0)

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True)
class SlidingCache:
    requires: ClassVar[tuple[Rule, ...]] = (Rule("block_scheduler", ("sliding",), "it follows the block"),)
    conflicts: ClassVar[tuple[Rule, ...]] = (
        Rule("context_window", ("window",), "the delay is undefined for pruned positions"),
        Rule("stop_rule", ("prophet",), "it reads every position"),
    )
    prefix_window: int = param(24, ge=0)


@dataclass(frozen=True)
class Everything:
    """One parameter of each type."""

    number: float = 0.5
    side: Side = Side.LEFT
    word: Literal["a", "b"] = "a"
    several: tuple[int, ...] = (1, 2)
    by_name: dict[str, float] | None = None
    either: int | str = 1

    def __post_init__(self) -> None:
        if self.number == 13:
            raise RuntimeError("unlucky")


@dataclass(frozen=True)
class Prophet:
    requires: ClassVar[tuple[Rule, ...]] = (Rule("stop_rule", ("eos", "never"), "it must end somewhere"),)
    share: float = param(0.5, gt=0, lt=1)


@dataclass(frozen=True)
class Odd:
    """A parameter of a type that a recipe cannot hold."""

    thing: complex = 1j


@dataclass(frozen=True)
class Confused:
    requires: ClassVar[tuple[Rule, ...]] = (Rule("cache_polic", ("none",), "so it is"),)


PLUGIN: Any = SimpleNamespace(__name__="kitchen")


def _register(hook: str, factories: dict[str, Any]) -> None:
    setattr(PLUGIN, hook, hookimpl(specname=hook)(lambda: factories))


_register("dllmkit_block_schedulers", {"sliding": Sliding})
_register("dllmkit_context_windows", {"window": Window})
_register("dllmkit_cache_policies", {"sliding_cache": SlidingCache, "confused": Confused})
_register("dllmkit_unmask_selectors", {"everything": Everything, "odd": Odd, "gone": "no_such_module:Gone"})
_register("dllmkit_stop_rules", {"prophet": Prophet})


def kitchen() -> LoadedPlugins:
    """The baseline and the components above."""
    return load_plugins([PLUGIN], environ={"DLLMKIT_PLUGINS": ""}, built_in=["dllmkit_baseline"])
