"""The exceptions of forkful, named by what they report."""

from __future__ import annotations

import sys

from forkful._core import LayoutMismatch, LockOwnerDied, ProcessError, ShutDown, TimeoutError

__all__ = [
    "AuthenticationError",
    "BrokenProcessPool",
    "BufferTooShort",
    "LayoutMismatch",
    "LockOwnerDied",
    "PoolTerminated",
    "ProcessError",
    "ShutDown",
    "TimeoutError",
    "WorkerDied",
]


class BufferTooShort(ProcessError):
    """A received message is larger than the buffer for it; args[0] is the message."""


class AuthenticationError(ProcessError):
    """The other end of a connection does not know the key."""


class PoolTerminated(ProcessError):
    """The pool was terminated before this task had a result."""


class _Broken(RuntimeError):
    """In place of the standard class, until a program can know that."""


class BrokenProcessPool(_Broken):
    """What a pool was to do did not come to its end, since a worker died.

    Each is one of concurrent.futures.process, too, where a program has imported that.
    """

    def __init__(self, *args: object) -> None:
        note_standard()
        super().__init__(*args)


class WorkerDied(BrokenProcessPool):
    """The worker that ran this task is gone; the pool has replaced it and lives on.

    Attributes:
        pid: Process id of the worker.
        signal: The signal that killed it, or None.
        exitcode: Its exit code; negative for a signal.
        item: Index of the item in its map, counted from 0; 0 for a single call. Also called `task`.
    """

    def __init__(self, message: str, pid: int = 0, exitcode: int = 0, item: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode
        self.signal = -exitcode if exitcode < 0 else None
        self.item = item

    @property
    def task(self) -> int:
        return self.item

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.pid, self.exitcode, self.item)


# Their place, for tracebacks and pickles, is the package, as that of the engine's exceptions.
for _each in (BufferTooShort, AuthenticationError, PoolTerminated, BrokenProcessPool, WorkerDied):
    _each.__module__ = "forkful"


def note_standard() -> None:
    """Make BrokenProcessPool a class of the standard one where a program can know that.

    Importing concurrent.futures costs as much as all of forkful, and brings logging along, whose
    functions around a fork lose what a signal's handler raises within them; and its module process
    brings multiprocessing. So they are looked for when the first exception is made, and at each
    later one: an except clause may name a class that was imported since.
    """
    for module, name in (
        ("concurrent.futures.process", "BrokenProcessPool"),
        ("concurrent.futures._base", "BrokenExecutor"),
    ):
        standard = getattr(sys.modules.get(module), name, None)
        if standard is not None and not issubclass(BrokenProcessPool, standard):
            BrokenProcessPool.__bases__ = (standard,)
            return
