"""Locks and the like: words in shared memory that know their owner.

When one is pickled its class travels with it. Attributes of a subclass do so for Event alone, as
with multiprocessing; other subclasses extend __getstate__ and __setstate__.
"""

from __future__ import annotations

import os
import threading
import time

from forkful import _core, _multiprocessing, process
from forkful._multiprocessing import RECURSIVE_MUTEX, SEMAPHORE, sem_unlink

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    _T = TypeVar("_T")

__all__ = [
    "RECURSIVE_MUTEX",
    "SEMAPHORE",
    "SEM_VALUE_MAX",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Lock",
    "RLock",
    "SemLock",
    "Semaphore",
    "sem_unlink",
]

SEM_VALUE_MAX = _multiprocessing.SemLock.SEM_VALUE_MAX


def _random_names() -> Iterator[str]:
    while True:
        yield os.urandom(4).hex()


class SemLock:
    """What locks and semaphores are. By itself: one of a kind that is given by its number.

    Args:
        kind: RECURSIVE_MUTEX or SEMAPHORE.
        value: How many permits there are at first.
        maxvalue: The most that there can be.
    Raises:
        ValueError: No such kind, or a value that is none.
        OSError: The family has no memory left.
    """

    _rand = _random_names()

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: object = None) -> None:
        self._semlock = _multiprocessing.SemLock(kind, value, maxvalue, self._make_name(), True)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """True: it is acquired. False: it was not free in time, and nothing has changed.

        Raises: As Lock.acquire().
        """
        return self._semlock.acquire(block, timeout)

    def release(self) -> None:
        """Undo one acquire().

        Raises:
            ValueError: A semaphore is at its maximum.
            AssertionError: This thread does not hold a recursive lock.
        """
        self._semlock.release()

    def locked(self) -> bool:
        """Whether acquire() would have to wait now, for another thread at least."""
        return self._semlock._is_zero()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *args: object) -> None:
        self.release()

    @staticmethod
    def _make_name() -> str:
        return f"{process.current_process()._config['semprefix']}-{next(SemLock._rand)}"


class _OfEngine(SemLock):
    """One whose state is the engine's."""

    @property
    def _semlock(self) -> _multiprocessing.SemLock:  # type: ignore[override]
        return _multiprocessing.SemLock._of(self)


def _owner(lock: Lock | RLock) -> str:
    """Who holds a lock, in the words of multiprocessing."""
    if lock._is_mine():
        name, thread = process.current_process().name, threading.current_thread().name
        return name if thread == "MainThread" else f"{name}|{thread}"
    if not lock.locked():
        return "None"
    return "SomeOtherThread" if lock._count() else "SomeOtherProcess"


@_core.own_methods
class Lock(_core.Lock, _OfEngine):
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
        return f"<{type(self).__name__}(owner={_owner(self)})>"


@_core.own_methods
class RLock(_core.RLock, _OfEngine):
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
        owner = _owner(self)
        depth = "nonzero" if owner.startswith("SomeOther") else self._count()
        return f"<{type(self).__name__}({owner}, {depth})>"


@_core.own_methods
class Semaphore(_core.Semaphore, _OfEngine):
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


@_core.own_methods
class BoundedSemaphore(Semaphore):
    """A Semaphore that refuses more releases than acquires, by ValueError.

    Raises: As Semaphore.
    """

    def __init__(self, value: int = 1, *, ctx: object = None, name: str | None = None) -> None:
        _core.Semaphore.__init__(self, value, value, name=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self._maxvalue})>"


@_core.own_methods
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
        kind, flag = type(self).__qualname__, ("unset", "set")[self.is_set()]
        return f"<{kind} at {id(self):#x} {flag}>"


class Count:
    """A number that multiprocessing has in a semaphore, and that the engine counts itself."""

    def __init__(self, count: Callable[[], int]) -> None:
        self.get_value = self._get_value = count

    @property
    def _semlock(self) -> Count:
        return self

    def _is_zero(self) -> bool:
        return self.get_value() == 0


def _none() -> int:
    return 0


class Condition(_core.Condition):
    """A place to wait for a notification, with a lock that is given away meanwhile.

        with condition:
            condition.wait_for(lambda: total.value > 9)

    Whoever notifies holds the lock, too. A waiter that is killed takes no notification along, and
    one that dies with the lock is found by the others; a later notify() may then wake one more than
    it was asked to, so look again at what you wait for.

    Args:
        lock: A Lock or an RLock, or another one between processes, such as a manager's; by default
            an RLock of its own. Of one that is not forkful's nobody knows which process holds it:
            acquire() and release() are called, and its own errors come out.
        name: As for Lock.
    Raises:
        TypeError: A lock of threading: processes would not exclude each other by it.
        AttributeError: `lock` is no lock.
        OSError: The family has no memory left.
    """

    def __init__(self, lock: Any = None, *, ctx: object = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._take_lock(RLock(name=name) if lock is None else _checked(lock))

    def _take_lock(self, lock: Any) -> None:
        self._lock = lock
        # The lock's own, without a step in between, unless a subclass has others.
        kind = type(self)
        if kind.acquire is Condition.acquire and kind.release is Condition.release:
            self.acquire, self.release = lock.acquire, lock.release  # type: ignore[method-assign]

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        """As the lock's own.

        Raises: As the lock's own.
        """
        return bool(self._lock.acquire(*args, **kwargs))

    def release(self) -> None:
        """As the lock's own.

        Raises: As the lock's own.
        """
        self._lock.release()

    def recover(self) -> bool:
        """Take the lock from an owner that has died, as Lock.recover().

        Raises:
            AttributeError: The lock is not one of forkful's.
        """
        return bool(self._lock.recover())

    def __enter__(self) -> bool:
        return bool(self._lock.acquire())

    def __exit__(self, *args: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock away until a notification, and take it again, however deep it was held.

        The lock is held again in any case, also when this raises. So what a signal's handler raises
        comes out when the lock is free.

        Args:
            timeout: How many seconds to wait at most; None: as long as it takes.
        Returns:
            Whether it was notified; False: not in time.
        Raises:
            AssertionError: This thread does not hold the lock.
            LockOwnerDied: The process that had the lock meanwhile has died with it: what it guards
                may be half-changed.
        """
        return self._wait(self._lock, timeout)

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until predicate() is true, which is called with the lock held.

        Args:
            timeout: As for wait(), for all of it.
        Returns:
            What predicate() has returned last.
        Raises: As wait().
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (answer := predicate()):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return answer

    def notify(self, n: int = 1) -> None:
        """Wake n of those who wait, or all where they are fewer; whoever comes later has no part.

        Raises:
            AssertionError: This thread does not hold the lock.
        """
        self._notify(self._lock, n)

    def notify_all(self) -> None:
        """Wake all who wait.

        Raises: As notify().
        """
        self._notify(self._lock, SEM_VALUE_MAX)

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._lock

    def __setstate__(self, state: Any) -> None:
        name, lock = state
        super().__setstate__(name)
        self._take_lock(lock)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock!r}, {self._waiters()})>"

    @property
    def _sleeping_count(self) -> Count:
        return Count(self._waiters)

    @property
    def _woken_count(self) -> Count:
        return Count(_none)

    @property
    def _wait_semaphore(self) -> Count:
        return Count(_none)


def _checked(lock: Any) -> Any:
    if type(lock).__module__ in ("_thread", "threading"):
        raise TypeError(
            f"a {type(lock).__qualname__} of threading excludes the threads of one process only: "
            "give forkful.Lock() or forkful.RLock(), or use threading.Condition"
        )
    for method in ("acquire", "release"):
        if not hasattr(lock, method):
            raise AttributeError(
                f"{type(lock).__name__!r} object has no attribute {method!r}: "
                "a Condition's lock is a Lock or an RLock"
            )
    return lock


class Barrier(_core.Barrier, threading.Barrier):
    """A place where a number of processes or threads meet, again and again.

    When a party cannot come any more, the others are not left waiting: the barrier is broken, and
    wait() raises threading.BrokenBarrierError in those who wait and those who come, until reset().
    That happens where a party comes too late, is interrupted, or dies while it waits or runs the
    action. Of one that died before it came nobody can know: where that may happen, give a timeout.

    Args:
        parties: How many have to come.
        action: Called by the last one to come, before anybody goes on; what it raises breaks the
            barrier.
        timeout: How many seconds wait() waits at most, where it does not say so itself.
        name: As for Lock.
    Raises:
        ValueError: parties is less than 1, or more than 2**22.
        OSError: The family has no memory left.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: object = None,
        name: str | None = None,
    ) -> None:
        _core.Barrier.__init__(self, parties, name=name)
        self._action, self._timeout = action, timeout

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come.

        Args:
            timeout: How many seconds to wait at most; by default what the barrier has. A party that
                gives up breaks it.
        Returns:
            Which one this was, from 0 to parties - 1.
        Raises:
            threading.BrokenBarrierError: It is broken; see the class.
            Exception: What the action has raised, for the last one to come.
        """
        return self._meet(self._action, self._timeout if timeout is None else timeout)

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._action, self._timeout

    def __setstate__(self, state: Any) -> None:
        name, self._action, self._timeout = state
        super().__setstate__(name)
