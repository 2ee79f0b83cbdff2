"""Queues between processes: rings in shared memory, without a thread behind them."""

from __future__ import annotations

import collections
import sys
import types
import weakref
from queue import Empty, Full

from forkful import _core, _picklers
from forkful import reduction as reduction  # what is sent is pickled by its rules

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import TypeVar

    from forkful import synchronize
    from forkful.synchronize import Count

    _T = TypeVar("_T", default=Any)
else:
    _T = None  # what stands in the brackets says nothing when the program runs

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]

# What is sent is pickled by reduction, until a program puts another pickler here.
_ForkingPickler = reduction.ForkingPickler
_picklers.tell_of_other(__name__, reduction.use_pickler)


class _PipeLike:
    """The private names of a queue of multiprocessing that programs reach for."""

    # For a class that is made of a pipe: what makes it.
    _make_pipe: Callable[..., None] | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__getstate__" in vars(cls) and cls.__module__ != __name__:
            from forkful import _pipe_queue

            if _pipe_queue.has_pipe(cls):
                _pipe_queue.give_pipe(cls, issubclass(cls, SimpleQueue))

    @property
    def _reader(self) -> Any:
        return self._end("Reader")

    @_reader.setter
    def _reader(self, end: Any) -> None:
        self.__dict__["Reader"] = lambda: end

    @property
    def _writer(self) -> Any:
        return self._end("Writer")

    @_writer.setter
    def _writer(self, end: Any) -> None:
        self.__dict__["Writer"] = lambda: end

    def _end(self, kind: str) -> Any:
        # The same object for as long as somebody has it, and no reference from the queue to it,
        # which refers to the queue.
        end = self.__dict__.get(kind, type(None))()
        if end is None:
            from forkful import _queue_ends

            end = getattr(_queue_ends, kind)(self)
            self.__dict__[kind] = weakref.ref(end)
        return end

    def _poll(self, timeout: float | None = 0.0) -> bool:
        return _core.await_item(self, timeout)  # type: ignore[arg-type]

    # Nobody need lock a queue. Whoever does so gets a lock that all of this process share, and
    # that children inherit.
    @property
    def _rlock(self) -> synchronize.Lock:
        return self._own_lock("own_rlock")

    @property
    def _wlock(self) -> synchronize.Lock:
        return self._own_lock("own_wlock")

    def _own_lock(self, name: str) -> synchronize.Lock:
        from forkful import synchronize

        lock = self.__dict__.get(name)
        if lock is None:
            lock = self.__dict__.setdefault(name, synchronize.Lock(policy="block"))
        return lock  # type: ignore[no-any-return]


def _count(count: Callable[[], int]) -> Count:
    from forkful import synchronize

    return synchronize.Count(count)


def _context_or_default(ctx: object) -> object:
    if ctx is not None:
        return ctx
    from forkful.context import default_context

    return default_context


@_core.own_methods
class Queue(_core.Queue[_T], _PipeLike):
    """A queue for any number of producers and consumers.

    An item is in the queue when put() returns: nothing is lost when the producer ends, and
    join() before get() is safe. qsize() is exact. When a queue is pickled its class travels with
    it, but attributes of a subclass do not: such a class extends __getstate__ and __setstate__.

    Args:
        maxsize: The most items at a time; 0: as many as memory allows.
        strict: put() raises for an object that cannot be pickled. False: the traceback goes to
            stderr and the queue lives on, as with multiprocessing.
        name: What views of the family call it; by default the line of the program that makes it.
    Raises:
        OverflowError: maxsize is more than 2**31 - 1.
        OSError: The family has no memory left.
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: object = None,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        if self._make_pipe is not None:
            self._make_pipe(_context_or_default(ctx), maxsize)
        else:
            super().__init__(maxsize, strict=strict, name=name)

    def join_thread(self) -> None:
        """Nothing to wait for: there is no thread.

        Raises:
            AssertionError: close() was not called before, which multiprocessing asks for.
        """
        assert self._closed, f"{self!r} is not closed: call close() before join_thread()"

    def cancel_join_thread(self) -> None:
        """Nothing to cancel: there is no thread."""

    _thread = None

    @property
    def _buffer(self) -> collections.deque[_T]:
        """What a thread would still have to send."""
        return collections.deque()

    @property
    def _sem(self) -> Count:
        """How many more items there is room for."""
        return _count(lambda: self._maxsize - self.qsize())

    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: object) -> None:
        import traceback

        # As if it had been raised where put() was called, whose line is what one looks for.
        caller = sys._getframe(1)
        trace = types.TracebackType(e.__traceback__, caller, caller.f_lasti, caller.f_lineno)
        text = "".join(traceback.format_exception(type(e), e, trace))
        sys.stderr.write(
            f"forkful: Queue.put() has dropped an item, a {type(obj).__name__}:\n{text}"
        )


@_core.own_methods
class JoinableQueue(Queue[_T]):
    """A Queue that knows which of its items are done with.

    Whoever has got an item calls task_done() when it is done with that; join() waits for all. An
    item whose receiver died, or forgot to call, stays unfinished. One that was dropped, since it
    could not be pickled, never counts.

    Args, Raises: As Queue.
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: object = None,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(maxsize, ctx=ctx, strict=strict, name=name)
        self._tasks = _core.TaskCount(name)

    def task_done(self) -> None:
        """Say that one item is done with that get() has returned.

        Raises:
            ValueError: All that were put are done already; nothing has changed.
        """
        self._tasks.task_done(self)

    def join(self) -> None:
        """Wait until all items that were put are done with."""
        self._tasks.join(self)

    def shutdown(self, immediate: bool = False) -> None:
        """As that of Queue; what is thrown away counts as done with."""
        super().shutdown()
        if immediate:
            self._tasks.discard(self)

    @property
    def _unfinished_tasks(self) -> Count:
        return _count(lambda: self._tasks.unfinished(self))

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._tasks

    def __setstate__(self, state: Any) -> None:
        queue, self._tasks = state
        super().__setstate__(queue)


@_core.own_methods
class SimpleQueue(_core.SimpleQueue[_T], _PipeLike):
    """A queue with get(), put(), empty() and close(), without a bound.

    put() raises for an object that cannot be pickled.

    Args:
        name: As for Queue.
    Raises:
        OSError: The family has no memory left.
    """

    def __init__(self, *, ctx: object = None, name: str | None = None) -> None:
        if self._make_pipe is not None:
            self._make_pipe(_context_or_default(ctx))
        else:
            super().__init__(name=name)


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> object:
        # What ends the thread of a queue over a pipe.
        if name != "_sentinel":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from forkful._pipe_queue import end_of_items

        return end_of_items
