"""The exceptions of forkful, named by what they report."""

from __future__ import annotations

from concurrent.futures._base import BrokenExecutor

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


class BrokenProcessPool(BrokenExecutor):
    """A pool cannot go on."""


class PoolTerminated(ProcessError):
    """The pool was terminated before this task had a result."""


class WorkerDied(BrokenProcessPool):
    """The worker that ran this task is gone; the pool has replaced it and lives on.

    Attributes:
        pid: Process id of the worker.
        signal: The signal that killed it, or None.
        exitcode: Its exit code; negative for a signal.
        task: Index of the item in its map, 0 for a single call.
    """

    def __init__(self, message: str, pid: int = 0, exitcode: int = 0, task: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode
        self.signal = -exitcode if exitcode < 0 else None
        self.task = task

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.pid, self.exitcode, self.task)
