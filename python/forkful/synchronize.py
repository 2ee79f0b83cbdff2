"""Locks and the like: words in shared memory that know their owner.

When one is pickled its class travels with it. Attributes of a subclass do so for Event alone, as
with multiprocessing; other subclasses extend __getstate__ and __setstate__.
"""

from __future__ import annotations

from forkful import _core, _later

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


class Lock(_core.Lock):
    """A lock that any process may release.

    Args:
        policy: What a waiter learns of an owner that died while holding the lock: "raise"
            LockOwnerDied, "recover" (it gets the lock), or "block" (as multiprocessing).
        name: What views of the family call it; by default the line of the program that makes it.
    Raises:
        ValueError: No such policy.
        OSError: The family has no memory left.
    """

    def __init__(
        self, *, ctx: object = None, policy: str = "raise", name: str | None = None
    ) -> None:
        super().__init__(policy, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({'locked' if self.locked() else 'unlocked'})>"


class RLock(_core.RLock):
    """A lock that its thread may acquire again.

    Args:
        policy, name: As for Lock.
    Raises: As Lock.
    """

    def __init__(
        self, *, ctx: object = None, policy: str = "raise", name: str | None = None
    ) -> None:
        super().__init__(policy, name=name)

    def __repr__(self) -> str:
        state = f"locked {self._count()} times" if self.locked() else "unlocked"
        return f"<{type(self).__name__}({state})>"


class Semaphore(_core.Semaphore):
    """A counter of permits: acquire() takes one, release() gives one back.

    A permit has no owner: what a process had that died is not given back, as with multiprocessing.

    Args:
        value: How many permits there are at first.
        name: As for Lock.
    Raises:
        ValueError: value is less than 0, or more than 2**31 - 1.
        OSError: The family has no memory left.
    """

    def __init__(self, value: int = 1, *, ctx: object = None, name: str | None = None) -> None:
        super().__init__(value, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that refuses more releases than acquires, by ValueError.

    Raises: As Semaphore.
    """

    def __init__(self, value: int = 1, *, ctx: object = None, name: str | None = None) -> None:
        _core.Semaphore.__init__(self, value, value, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self._maxvalue})>"


class Event(_core.Event):
    """A flag to wait for.

    Args:
        name: As for Lock.
    Raises:
        OSError: The family has no memory left.
    """

    def __init__(self, *, ctx: object = None, name: str | None = None) -> None:
        super().__init__(name=name)

    def __getstate__(self) -> tuple[object, dict[str, Any]]:
        return super().__getstate__(), self.__dict__

    def __setstate__(self, state: tuple[Any, dict[str, Any]]) -> None:
        name, attributes = state
        super().__setstate__(name)
        self.__dict__.update(attributes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({'set' if self.is_set() else 'unset'})>"


Condition = _later.kind("Condition")
Barrier = _later.kind("Barrier")
