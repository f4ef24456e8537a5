"""The processes of one command: alone, or as many as torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from dllmkit.errors import DllmkitError

T = TypeVar("T")

PATIENCE = timedelta(days=7)  # a process that is done waits for the slowest: hours are no failure


@dataclass(frozen=True, slots=True)
class Group:
    """Processes that share the work: this one's number, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> list[T]:
        """Take this process's share, every n-th."""
        return list(items[self.rank :: self.size])

    def share(self, make: Callable[[], T]) -> T:
        """Let the first process make something for all; its DllmkitError is raised by all."""
        if self.size == 1:
            return make()
        from torch import distributed

        made: list[Any] = [None, None]
        if self.first:
            try:
                made = [make(), None]
            except DllmkitError as error:
                made = [None, str(error)]
        with _company():
            distributed.broadcast_object_list(made, src=0)
        if made[1] is not None:
            raise DllmkitError(made[1])
        value: T = made[0]
        return value

    def gather(self, value: T) -> list[T]:
        """Give every process the values of all, in the order of their numbers; waits for the slowest."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.size
        with _company():
            distributed.all_gather_object(values, value)
        return values


@contextmanager
def _company() -> Iterator[None]:
    """Turn what gloo says when another process has gone into a message."""
    try:
        yield
    except RuntimeError as error:
        raise DllmkitError("another process has ended early, and says why; so this one ends too") from error


@contextmanager
def processes() -> Iterator[Group]:
    """Join the processes that torchrun started, if it did; gloo carries what they say to each other."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
