"""Locks and the like: words in shared memory that know their owner."""

from __future__ import annotations

from forkful import _core, later

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


def _adopt(cls: Any, *name: int) -> Any:
    return cls.adopt(*name)


class Lock(_core.Lock):
    """A lock that any process may release.

    Args:
        policy: What a waiter learns of an owner that died while holding the lock: "raise"
            LockOwnerDied, "recover" (it gets the lock), or "block" (as multiprocessing).
    """

    def __new__(cls, *, ctx: object = None, policy: str = "raise") -> Lock:
        return super().__new__(cls, policy)

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), *self.name())

    def __repr__(self) -> str:
        return f"<Lock({'locked' if self.locked() else 'unlocked'})>"


class RLock(_core.RLock):
    """A lock that its thread may acquire again.

    Args:
        policy: As for Lock.
    """

    def __new__(cls, *, ctx: object = None, policy: str = "raise") -> RLock:
        return super().__new__(cls, policy)

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), *self.name())

    def __repr__(self) -> str:
        state = f"locked {self._count()} times" if self.locked() else "unlocked"
        return f"<RLock({state})>"


class Semaphore(_core.Semaphore):
    """A counter of permits: acquire() takes one, release() gives one back."""

    def __new__(cls, value: int = 1, *, ctx: object = None) -> Semaphore:
        return super().__new__(cls, value)

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), *self.name())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that refuses more releases than acquires."""

    def __new__(cls, value: int = 1, *, ctx: object = None) -> BoundedSemaphore:
        return _core.Semaphore.__new__(cls, value, max(value, 1))


class Event(_core.Event):
    """A flag to wait for."""

    def __new__(cls, *, ctx: object = None) -> Event:
        return super().__new__(cls)

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), *self.name())

    def __repr__(self) -> str:
        return f"<Event ({'set' if self.is_set() else 'unset'})>"


Condition = later.kind("Condition")
Barrier = later.kind("Barrier")
