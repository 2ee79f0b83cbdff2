"""Results of a pool of threads, each set by the thread that has it."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable

from forkful import _errors
from forkful._pool import results

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, Self

    from forkful._pool.inputs import Input

__all__ = ["ThreadIterator", "ThreadMapResult", "ThreadResult"]


class ThreadResult:
    """A result that may not be there yet: get(), wait(), ready(), successful()."""

    def __init__(
        self,
        pool: Any,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        # The pool lives while somebody may wait for this.
        self._pool = pool
        self._callback = callback
        self._error_callback = error_callback
        self._value: Any = None
        self._error: BaseException | None = None
        self._done = False
        self._waiting = _thread.allocate_lock()  # held until it is there
        self._waiting.acquire()
        self._settling = _thread.allocate_lock()  # taken by the one that has the last word
        self._job = pool._shared.enter(self)

    def ready(self) -> bool:
        """Whether it is there."""
        return self._done

    def successful(self) -> bool:
        """Whether the call has returned, and not raised.

        Raises:
            ValueError: It is not there yet.
        """
        if not self._done:
            raise ValueError(f"{self!r} not ready: wait() for it first")
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is there.

        Args:
            timeout: For so many seconds at most; None: as long as it takes.
        """
        seconds = -1 if timeout is None else min(max(0, timeout), _thread.TIMEOUT_MAX)
        if not self._done and self._waiting.acquire(timeout=seconds):
            self._waiting.release()

    def get(self, timeout: float | None = None) -> Any:
        """What the call has returned.

        Args:
            timeout: In seconds; None: as long as it takes.
        Raises:
            TimeoutError: It was not there in time.
            Exception: What the call has raised.
            PoolTerminated: The pool was terminated before.
        """
        self.wait(timeout)
        if not self._done:
            raise _errors.TimeoutError(f"the result was not there after {timeout} seconds")
        if self._error is not None:
            raise self._error
        return self._value

    # --- for the pool ---

    def _settle(self, value: Any, error: BaseException | None, call_back: bool = True) -> None:
        """It is decided, unless it was; where there is a callback, that comes before ready()."""
        if not self._settling.acquire(False):
            return
        self._value, self._error = value, error
        wanted = self._callback if error is None else self._error_callback
        if wanted is not None and call_back:
            self._pool._shared.call_back(self, wanted, value if error is None else error)
        else:
            self._finish()

    def _finish(self) -> None:
        shared = self._pool._shared
        self._done = True
        self._callback = self._error_callback = self._pool = None
        self._waiting.release()
        shared.leave(self._job)

    def _set(self, place: int, value: Any, error: BaseException | None) -> None:
        self._settle(value, error)

    def _task_ended(self) -> None:
        pass


class ThreadMapResult(ThreadResult):
    """The result of map_async() or starmap_async(): a list."""

    def __init__(
        self,
        pool: Any,
        count: int,
        tasks: int,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        super().__init__(pool, callback, error_callback)
        self._value = [None] * count
        self._number_left = tasks
        self._counting = _thread.allocate_lock()
        self._first_error: BaseException | None = None
        if tasks == 0:
            self._settle([], None)

    def _set(self, place: int, value: Any, error: BaseException | None) -> None:
        if self._done:
            return
        if error is None:
            self._value[place] = value
            return
        with self._counting:
            if self._first_error is None:
                self._first_error = error

    def _task_ended(self) -> None:
        with self._counting:
            self._number_left -= 1
            last = self._number_left == 0
        if last:
            self._settle(self._value, self._first_error)


class ThreadIterator:
    """The results of imap() or imap_unordered().

    Args:
        ordered: Whether they come in the order of the input.
    """

    def __init__(self, pool: Any, ordered: bool) -> None:
        self._pool = pool
        self._ordered = ordered
        # Reentrant: what is collected as garbage under it may end the pool.
        self._changed = threading.Condition(threading.RLock())
        self._arrived: dict[int, tuple[Any, BaseException | None]] = {}
        self._order: deque[int] = deque()  # of arrival; for the unordered
        self._given = 0  # items that were handed in
        self._next_place = 0  # results that were consumed
        self._length: int | None = None  # once the input has ended
        self._terminated: BaseException | None = None
        self._feeder: Callable[[], object] | None = None
        self._low_water = 0
        self._input: Input | None = None  # it feeds this as long as this is wanted
        self._job = pool._shared.enter(self)

    def __iter__(self) -> Self:
        return self

    def next(self, timeout: float | None = None) -> Any:
        """The next result; the next call gives the one after it.

        Args:
            timeout: In seconds; by default it waits for as long as it takes.
        Raises:
            StopIteration: All results were given.
            TimeoutError: It was not there in time. It may be asked for again.
            Exception: What came instead of this result.
        """
        feeder = self._feeder
        if feeder is not None and self._length is None and self._ahead < self._low_water:
            feeder()
        with self._changed:
            if not self._changed.wait_for(self._can_give, timeout):
                raise _errors.TimeoutError(f"no result was there after {timeout} seconds")
            value, error = self._take()
        if error is not None:
            raise error
        return value

    __next__ = next

    def _is_next_there(self) -> bool:
        return self._next_place in self._arrived if self._ordered else bool(self._order)

    def _can_give(self) -> bool:
        return (
            self._is_next_there()
            or self._terminated is not None
            or self._next_place == self._length
        )

    def _take(self) -> tuple[Any, BaseException | None]:
        if self._is_next_there():
            value = self._arrived.pop(self._next_place if self._ordered else self._order.popleft())
            self._next_place += 1
            return value
        # What the pool's end has left out, as one error.
        error, self._terminated = self._terminated, None
        if error is None:
            raise StopIteration
        self._length = self._next_place
        return None, error

    def _leave_when_done(self) -> None:
        pool, length = self._pool, self._length
        if pool is None or length is None or self._next_place + len(self._arrived) < length:
            return
        self._pool = self._feeder = self._input = None
        pool._shared.leave(self._job)

    # --- for the pool and the input ---

    @property
    def _ahead(self) -> int:
        """Items that were handed in and not consumed."""
        return self._given - self._next_place

    def _set_feeder(self, feeder: Callable[[], object], low_water: int) -> None:
        self._feeder, self._low_water = feeder, low_water

    def _set(self, place: int, value: Any, error: BaseException | None) -> None:
        with self._changed:
            if self._terminated is not None or self._length == self._next_place:
                return  # the pool was terminated while this was run
            self._arrived[place] = value, error
            if not self._ordered:
                self._order.append(place)
            self._leave_when_done()
            self._changed.notify_all()

    def _task_ended(self) -> None:
        pass

    def _end_input(self, error: BaseException | None = None) -> None:
        """What was handed in is all; `error` comes after it."""
        with self._changed:
            if self._length is not None:
                return
            if error is not None:
                self._given += 1
            self._length = self._given
            if error is not None:
                self._set(self._given - 1, None, error)
            self._leave_when_done()
            self._changed.notify_all()

    def _settle(self, value: Any, error: BaseException | None, call_back: bool = True) -> None:
        """The pool was terminated: the results that are there, then the error."""
        with self._changed:
            if self._pool is None:
                return
            pool, self._pool = self._pool, None
            self._feeder = self._input = None
            self._terminated = error
            pool._shared.leave(self._job)
            self._changed.notify_all()


# As programs see them: they are of the same kind as those of processes.
for _each, _kind in (
    (ThreadResult, results.ApplyResult),
    (ThreadMapResult, results.MapResult),
    (ThreadIterator, results.IMapIterator),
):
    _kind.register(_each)
    _each.__module__ = "forkful.pool"
    _each.__qualname__ = _each.__name__ = _kind.__name__
