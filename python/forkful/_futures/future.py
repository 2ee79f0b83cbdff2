"""Futures of an executor: concurrent.futures' own kind, over a job of the pool."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import _base

from forkful import _core
from forkful._child import ending

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")
else:
    _T = None  # what stands in the brackets says nothing when the program runs

__all__ = ["Future", "Task"]

_PENDING = _base.PENDING
_FINISHED = _base.FINISHED
_CANCELLED = (_base.CANCELLED, _base.CANCELLED_AND_NOTIFIED)

# What the functions of concurrent.futures, and callbacks, need of a future. Most futures have
# neither: these are made when somebody asks for them.
_SHARED = {"_condition": threading.Condition, "_waiters": list, "_done_callbacks": list}


class Future(_base.Future[_T]):
    """The result of a call, which may not be there yet.

    result() and exception() collect it themselves. What else waits for a future, or is called when
    it is done, needs the executor's thread to complete it.
    """

    _state: str = _PENDING
    _result: Any = None
    _exception: BaseException | None = None

    def __init__(self, job: Task[_T]) -> None:
        # Not the base's: it would make all of _SHARED for each future.
        self._job = job

    def __getattr__(self, name: str) -> Any:
        make = _SHARED.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # First: from now on whoever collects the result leaves the rest to the executor's thread.
        self._job._watch()
        return self.__dict__.setdefault(name, make())

    def _is_open(self) -> bool:
        return self._state == _PENDING

    def _settle(self) -> None:
        # Of a job that came to its end when the executor's thread had left.
        if self._is_open() and self._job._done and not self._job._is_cancelled:
            self._job._complete(self)

    def result(self, timeout: float | None = None) -> _T:
        """What the call returned.

        Args:
            timeout: How many seconds to wait at most; None: as long as it takes.
        Raises:
            TimeoutError: It was not there in time; it may be asked for again.
            CancelledError: The call was cancelled.
            Exception: What the call raised, with its traceback there as __cause__; or what kept it
                from its end, see ProcessPoolExecutor.
        """
        if self._state != _FINISHED:
            self._await(timeout)
        if self._exception is None:
            return self._result  # type: ignore[no-any-return]
        try:
            raise self._exception
        finally:
            del self  # the traceback has this frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised; None if it returned.

        Args, Raises: As result().
        """
        if self._state != _FINISHED:
            self._await(timeout)
        return self._exception

    def _await(self, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        if self._is_open():
            self._job.wait(None if timeout is None else max(0, timeout))
            self._settle()
        if self._state != _FINISHED:
            # Cancelled, or about to be completed in another thread, or too late: as of any future.
            super().exception(None if end is None else max(0, end - time.monotonic()))

    def done(self) -> bool:
        """Whether it has a result, or was cancelled; does not wait."""
        if self._is_open():
            self._job.ready()
            self._settle()
        return self._state in (_FINISHED, *_CANCELLED)

    def running(self) -> bool:
        """Whether a worker has begun the call, and has not come to its end."""
        return self._is_open() and self._job._is_running()

    def cancelled(self) -> bool:
        return self._state in _CANCELLED

    def cancel(self) -> bool:
        """Keep the call from being begun.

        Returns: Whether it is cancelled; not where a worker has begun it.
        """
        if self._is_open() and self._job._cancel():
            self._note_cancelled()
        return self.cancelled()

    def _note_cancelled(self) -> None:
        """After its job was cancelled: nobody else will complete it."""
        super().cancel()
        with self._condition:
            if self._state == _base.CANCELLED:
                self.set_running_or_notify_cancel()

    def __repr__(self) -> str:
        if self.running():
            return f"<{type(self).__name__} at {id(self):#x} state=running>"
        return super().__repr__()


class Task(_core.Job[_T]):
    """The job of one future. The pool has it until it is done, and so the future."""

    def _call_back(self) -> None:
        """In the executor's thread: complete the future, and run its callbacks."""
        future = self._future
        caller = os.getpid()
        try:
            if future is not None:
                self._complete(future)
        finally:
            if os.getpid() != caller:
                ending.end_forked(None)
            self._finish()

    def _complete(self, future: Future[_T]) -> None:
        error = self._error
        try:
            if isinstance(error, _base.CancelledError):
                future._note_cancelled()
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(self._value)
        except _base.InvalidStateError:
            pass  # another thread has come before
