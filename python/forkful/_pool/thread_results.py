"""Results of a pool of threads, each set by the thread that has it."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from forkful import _core, _errors
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
        self._job = pool._shared.number()

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
        shared.leave(self)

    def _take(self, place: int, results: list[Any], errors: dict[int, BaseException]) -> None:
        """What a part of a task has come to: see Task."""
        self._settle(results[0], errors.get(0))


class ThreadMapResult(ThreadResult):
    """The result of map_async() or starmap_async(): a list."""

    def __init__(
        self,
        pool: Any,
        count: int,
        parts: int,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        super().__init__(pool, callback, error_callback)
        self._values: list[Any] = [None] * count
        self._number_left = parts
        self._counting = _thread.allocate_lock()
        self._first_error: BaseException | None = None
        if parts == 0:
            self._settle([], None)

    def _take(self, place: int, results: list[Any], errors: dict[int, BaseException]) -> None:
        self._values[place : place + len(results)] = results
        with self._counting:
            if errors and self._first_error is None:
                self._first_error = next(iter(errors.values()))
            self._number_left -= 1
            last = self._number_left == 0
        if last:
            self._settle(self._values, self._first_error)


class _Mark:
    """Stands among results, for an error that is raised there, or where more input is wanted."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class ThreadIterator(_core.ResultLine):
    """The results of imap() or imap_unordered().

    Args:
        ordered: Whether they come in the order of the input.
    """

    _ready: deque[Any]  # what is given next; consumers need no lock for it

    def __new__(cls, pool: Any, ordered: bool) -> Self:
        ready: deque[Any] = deque()
        self = super().__new__(cls, ready, _Mark)
        self._ready = ready
        return self

    def __init__(self, pool: Any, ordered: bool) -> None:
        self._pool = pool
        self._ordered = ordered
        # Of consumers that wait: whoever changes something releases them. Why no Condition: what a
        # signal's handler raises in its wait() may come when it has no lock to release.
        self._bells: set[Any] = set()
        # Guards what follows. Reentrant: what is collected as garbage under it may end the pool.
        self._lock = threading.RLock()
        self._arrived = 0  # results that are, or were, in `_ready`
        self._early: dict[int, list[Any]] = {}  # by their places; for the ordered
        self._given = 0  # items that were handed in
        self._length: int | None = None  # once the input has ended
        self._end: BaseException | None = None  # the pool's, which comes after the results
        self._input: Input | None = None  # it feeds this as long as this is wanted
        self._feed: Callable[[], object] | None = None
        self._feed_step = self._next_mark = sys.maxsize  # items
        self._job = pool._shared.number()

    def next(self, timeout: float | None = None) -> Any:
        """The next result; the next call gives the one after it.

        Args:
            timeout: In seconds; by default it waits for as long as it takes.
        Raises:
            StopIteration: All results were given.
            TimeoutError: It was not there in time. It may be asked for again.
            Exception: What came instead of this result.
        """
        return self._go_on(None, timeout)

    def _go_on(self, mark: _Mark | None, timeout: float | None = None) -> Any:
        """The next result, where `mark` was taken before it, or nothing was there."""
        while True:
            if mark is None:
                if not self._ready:
                    self._await_ready(timeout)
            elif mark.error is not None:
                raise mark.error
            else:
                self._ask_for_more()
            mark = None
            try:
                result = self._ready.popleft()
            except IndexError:
                continue  # another thread has taken it
            if type(result) is not _Mark:
                return result
            mark = result

    def _await_ready(self, timeout: float | None) -> None:
        if self._ahead < self._feed_step:
            self._ask_for_more()  # whatever may have interrupted one who had taken the mark
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._can_go_on():
            left = -1 if deadline is None else min(deadline - time.monotonic(), _thread.TIMEOUT_MAX)
            if deadline is not None and left <= 0:
                raise _errors.TimeoutError(f"no result was there after {timeout} seconds")
            bell = _thread.allocate_lock()
            bell.acquire()
            try:
                self._bells.add(bell)
                if not self._can_go_on():
                    bell.acquire(timeout=left)
            finally:
                self._bells.discard(bell)
        with self._lock:
            if self._ready or self._arrived != self._length:
                return  # there was something, and another thread may have taken it
            # What the pool's end has left out is one error.
            error, self._end = self._end, None
        if error is None:
            raise StopIteration
        raise error

    def _can_go_on(self) -> bool:
        return bool(self._ready) or self._arrived == self._length

    def _ask_for_more(self) -> None:
        feed = self._feed
        if feed is not None and self._length is None:
            feed()

    # --- for the pool and the input ---

    @property
    def _ahead(self) -> int:
        """Items that were handed in and not consumed."""
        return self._given - self._arrived + len(self._ready)

    def _set_feed(self, feed: Callable[[], object], step: int) -> None:
        """Call it each time that so many items were consumed."""
        self._feed, self._feed_step, self._next_mark = feed, step, step

    def _take(self, place: int, results: list[Any], errors: dict[int, BaseException]) -> None:
        if errors:
            for index, error in errors.items():
                results[index] = _Mark(error)
        with self._lock:
            if self._pool is None:
                return  # the pool was terminated while this was run
            if self._ordered and place != self._arrived:
                self._early[place] = results
                return
            more: list[Any] | None = results
            while more is not None:
                self._ready.extend(more)
                self._arrived += len(more)
                more = self._early.pop(self._arrived, None) if self._early else None
            if self._arrived >= self._next_mark:
                self._ready.append(_Mark())
                self._next_mark = self._arrived + self._feed_step
            if self._bells or self._arrived == self._length:
                self._note_change()

    def _note_change(self) -> None:
        if self._arrived == self._length and self._pool is not None:
            shared, self._pool = self._pool._shared, None
            self._feed = self._input = None
            shared.leave(self)
        try:
            while True:
                self._bells.pop().release()
        except KeyError:
            pass  # all were

    def _end_input(self, error: BaseException | None = None) -> None:
        """What was handed in is all; `error` comes after it."""
        with self._lock:
            if self._length is not None:
                return
            place = self._given
            self._given += error is not None
            self._length = self._given
            if error is not None:
                self._take(place, [None], {0: error})
            else:
                self._note_change()

    def _settle(self, value: Any, error: BaseException | None, call_back: bool = True) -> None:
        """The pool was terminated: the results that are there, then the error."""
        with self._lock:
            if self._pool is None:
                return
            self._end = error
            self._early.clear()
            self._length = self._arrived
            self._note_change()


# As programs see them: they are of the same kind as those of processes.
for _each, _kind in (
    (ThreadResult, results.ApplyResult),
    (ThreadMapResult, results.MapResult),
    (ThreadIterator, results.IMapIterator),
):
    _kind.register(_each)
    _each.__module__ = "forkful.pool"
    _each.__qualname__ = _each.__name__ = _kind.__name__
