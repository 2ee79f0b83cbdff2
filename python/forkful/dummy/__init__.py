"""The names of the package on threads: programs try out with it what they do with processes."""

from __future__ import annotations

import array
import sys
import threading
from queue import Queue
from threading import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)
from threading import current_thread as current_process

from forkful._threads import DummyProcess, active_children
from forkful.dummy.connection import Pipe

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

    from forkful.pool import ThreadPool

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "Queue",
    "RLock",
    "Semaphore",
    "active_children",
    "current_process",
    "freeze_support",
]

Process = DummyProcess
JoinableQueue = Queue

# As of a manager, which this module is.
dict = dict
list = list


def freeze_support() -> None:
    """Nothing to do."""


class Namespace:
    """An object that has whatever attributes it is given."""

    def __init__(self, /, **kwds: Any) -> None:
        self.__dict__.update(kwds)

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.__dict__.items() if name[:1] != "_")
        return f"{type(self).__name__}({', '.join(sorted(shown))})"


def Array(typecode: str, sequence: Iterable[Any], lock: bool = True) -> array.array[Any]:
    """An array of numbers.

    Args:
        typecode: As for array.array.
        lock: For the likeness to the other Array().
    Raises:
        ValueError, TypeError: What array.array() raises.
    """
    return array.array(typecode, sequence)


class Value:
    """A value to share.

    Args:
        typecode: For people.
        lock: For the likeness to the other Value().
    """

    def __init__(self, typecode: object, value: Any, lock: bool = True) -> None:
        self._held = value
        self._typecode = typecode

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._typecode!r}, {self._held!r})>"

    @property
    def value(self) -> Any:
        """What it has."""
        return self._held

    @value.setter
    def value(self, new: Any) -> None:
        self._held = new


def Manager() -> ModuleType:
    """This module: it has what a manager makes."""
    return sys.modules[__name__]


def shutdown() -> None:
    """Nothing to end."""


def Pool(
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
) -> ThreadPool:
    """A pool of threads; help(forkful.pool.ThreadPool) has more.

    Raises:
        ValueError: processes is less than 1.
        TypeError: initializer cannot be called, or initargs is not iterable.
    """
    from forkful.pool import ThreadPool

    return ThreadPool(processes, initializer, initargs)


# A thread that this module has not made has no children yet; programs look for the attribute.
if not hasattr(threading.current_thread(), "_children"):
    from forkful._threads import children_of_current

    threading.current_thread()._children = children_of_current()  # type: ignore[attr-defined]
