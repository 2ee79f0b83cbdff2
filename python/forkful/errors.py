"""The exceptions of forkful, named by what they report."""

from __future__ import annotations

from forkful._core import LayoutMismatch, LockOwnerDied, ProcessError, ShutDown, TimeoutError

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "LayoutMismatch",
    "LockOwnerDied",
    "PoolTerminated",
    "ProcessError",
    "ShutDown",
    "TimeoutError",
]


class BufferTooShort(ProcessError):
    """A received message is larger than the buffer for it; args[0] is the message."""


class AuthenticationError(ProcessError):
    """The other end of a connection does not know the key."""


class PoolTerminated(ProcessError):
    """The pool was terminated before this task had a result."""
