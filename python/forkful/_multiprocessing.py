"""What the standard library's accelerator module offers: semaphores by number of kind."""

from __future__ import annotations

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, Self

__all__ = ["SemLock", "flags", "sem_unlink"]

# What the system's semaphores can do: all.
flags = {"HAVE_SEM_OPEN": 1, "HAVE_SEM_TIMEDWAIT": 1}

RECURSIVE_MUTEX, SEMAPHORE = range(2)

_MOST = 2**31 - 1
_kept_names: set[str] = set()  # of those that were made with unlink=False, in this process


class SemLock:
    """A recursive lock, or a semaphore: the common face of Lock, RLock and Semaphore.

    Under the hood of a lock it is a view of that: `lock._semlock`. Differs from the standard
    library: the name is no name in the file system.

    Args:
        kind: 0: a recursive lock; 1: a semaphore.
        value: How many permits there are at first.
        maxvalue: The most that there can be.
        name: Begins with a slash.
        unlink: False: the name is taken, in this process, until sem_unlink().
    Raises:
        ValueError: No such kind, or a value that is none.
        FileExistsError: The name is taken.
    """

    SEM_VALUE_MAX = _MOST

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        if kind not in (RECURSIVE_MUTEX, SEMAPHORE):
            raise ValueError(f"unrecognized kind {kind!r}: 0 is a recursive lock, 1 a semaphore")
        if name in _kept_names:
            raise FileExistsError(17, "File exists", name)
        lock: Any
        if kind == RECURSIVE_MUTEX:
            lock = _core.RLock("block", name=name)
        else:
            lock = _core.Semaphore(value, maxvalue, name=name)
        self._look_at(lock, kind, maxvalue, None if unlink else name)
        if not unlink:
            _kept_names.add(name)

    def _look_at(self, lock: Any, kind: int, maxvalue: int, name: str | None) -> None:
        self._lock, self._kind, self._maxvalue, self._name = lock, kind, maxvalue, name
        # The engine's own class: a subclass's method may be what calls here.
        self._type = next(each for each in _KINDS if isinstance(lock, each))

    @classmethod
    def _of(cls, lock: Any) -> Self:
        """A view of a Lock, an RLock or a Semaphore of the engine."""
        view = cls.__new__(cls)
        kind = RECURSIVE_MUTEX if isinstance(lock, _core.RLock) else SEMAPHORE
        view._look_at(lock, kind, getattr(lock, "_maxvalue", 1), None)
        return view

    @classmethod
    def _rebuild(cls, handle: Any, kind: int, maxvalue: int, name: str | None) -> Self:
        """The one that another process calls so.

        Raises:
            ValueError: There is none of this name any more.
        """
        lock: Any = _KINDS[handle[0]].__new__(_KINDS[handle[0]])
        lock.__setstate__(handle[1:])
        view = cls.__new__(cls)
        view._look_at(lock, kind, maxvalue, name)
        return view

    @property
    def handle(self) -> tuple[int, ...]:
        """What _rebuild() finds it by; from now on it lives until the family ends."""
        return _KINDS.index(self._type), *self._type.__getstate__(self._lock)

    @property
    def kind(self) -> int:
        """0: a recursive lock; 1: a semaphore."""
        return self._kind

    @property
    def maxvalue(self) -> int:
        """The most permits that there can be."""
        return self._maxvalue

    @property
    def name(self) -> str | None:
        """Its name, where that is taken."""
        return self._name

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """As that of Lock."""
        return bool(self._type.acquire(self._lock, block, timeout))

    def release(self) -> None:
        """As that of Lock, RLock or Semaphore."""
        self._type.release(self._lock)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *args: object) -> None:
        self.release()

    def __reduce__(self) -> Any:
        return self._rebuild, (self.handle, self._kind, self._maxvalue, self._name)

    def _count(self) -> int:
        # Of a semaphore nobody knows who has acquired it.
        return 0 if self._type is _core.Semaphore else int(self._type._count(self._lock))

    def _is_mine(self) -> bool:
        return self._type is not _core.Semaphore and bool(self._type._is_mine(self._lock))

    def _get_value(self) -> int:
        if self._type is _core.Semaphore:
            return int(self._type.get_value(self._lock))
        return 0 if self._type.locked(self._lock) else 1

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        """Nothing to do: a lock knows which process has it."""


_KINDS: tuple[Any, ...] = (_core.Lock, _core.RLock, _core.Semaphore)


def sem_unlink(name: str, /) -> None:
    """Give a name free.

    Raises:
        FileNotFoundError: It is not taken in this process.
    """
    try:
        _kept_names.remove(name)
    except KeyError:
        raise FileNotFoundError(2, "No such file or directory", name) from None
