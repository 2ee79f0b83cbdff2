"""ThreadPool: the pool's interface on threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable

from forkful import _core, _finalize, _log
from forkful._child import kept
from forkful._pool.arguments import check_arguments, chunk_for, note_what_is_mapped, to_chunk
from forkful._pool.inputs import Input
from forkful._pool.processes import CLOSE, INIT, RUN, TERMINATE, Pool
from forkful._pool.thread_results import ThreadIterator, ThreadMapResult, ThreadResult
from forkful._pool.thread_shared import DrawnByThread, Shared, Submitter, Task, terminated
from forkful._threads import DummyProcess
from forkful.context import default_context

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._pool.results import ApplyResult, IMapIterator, IMapUnorderedIterator, MapResult

__all__ = ["ThreadPool"]

_FEW = 16  # numbers: as quickly as a part of a range is made, a list's part of so many is copied


class ThreadPool(Pool):
    """A pool of threads, with the methods of Pool. Nothing is pickled.

    Exceptions come as they are, with the traceback that they have in the worker. What a function
    raises, SystemExit included, ends no worker. A thread cannot be killed: terminate() does not
    wait for functions that run, and what they return is dropped.

    Args:
        processes: How many threads; by default as many as there are CPUs for this process.
        initializer: Called in each thread before its first task, with `initargs`. Where it raises,
            the pool is broken, and calls raise BrokenProcessPool.
    Raises:
        ValueError: processes is less than 1.
        TypeError: initializer cannot be called, initargs is not iterable, or processes no integer.
        RuntimeError: The system has no room for a thread; those that had started end.
    """

    __module__ = "forkful.pool"  # where programs find it
    _wrap_exception = False

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        self._state = INIT
        self._ctx = default_context.get_context()
        self._processes = _core.cpu_count() if processes is None else processes
        check_arguments(self._processes, initializer, None)
        arguments = kept.to_arguments("initargs", initargs)
        self._shared = shared = Shared()
        self._pool = shared.workers
        self._terminate = _finalize.Finalize(self, _end, (shared,), exitpriority=15)
        try:
            for _ in range(self._processes):
                worker = self.Process(self._ctx, target=shared.work, args=(initializer, arguments))
                worker.name = worker.name.replace("Process", "PoolWorker")
                worker.daemon = True
                worker.start()
                shared.workers.append(worker)
                _log.debug("added worker")
        except BaseException:
            self._terminate()
            raise
        self._state = RUN

    @staticmethod
    def Process(ctx: object, *args: Any, **kwds: Any) -> DummyProcess:  # type: ignore[override]
        """A worker to be; a subclass may make another kind of thread.

        Raises: What threading.Thread raises for its arguments.
        """
        return DummyProcess(*args, **kwds)

    def _is_ours(self) -> bool:
        return self._shared.pid == os.getpid()

    @property
    def _cache(self) -> dict[int, Any]:
        return dict(self._shared.jobs)

    @property
    def _taskqueue(self) -> Any:
        return self._shared

    _inqueue = _outqueue = _taskqueue

    def _repopulate_pool(self) -> None:
        pass  # a worker ends with the pool alone

    # --- tasks ---

    def _check_running(self) -> None:
        self._shared.check_open()
        if not self._is_ours():
            raise ValueError("Pool not running: its threads are another process's; make one here")

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
    ) -> Any:
        """Call func(*args, **kwds) in a worker and return its result.

        Raises:
            Exception: What func raised.
            ValueError, BrokenProcessPool: The pool takes no tasks.
            TypeError: args is not iterable, or kwds is no mapping.
            PoolTerminated: Another thread has terminated the pool.
        """
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        timeout: float | None = None,
    ) -> ApplyResult[Any]:
        """As apply(), but return an ApplyResult at once, whose get() raises what apply() would.

        Callbacks run one after the other in a thread of the pool, with the result or the exception;
        what they raise is printed. Until its callback has returned a result is not ready.

        Args:
            timeout: None. A thread cannot be ended; get() of the result takes a time-out.
        Raises:
            ValueError, BrokenProcessPool: The pool takes no tasks; or there is a timeout.
            TypeError: args is not iterable, or kwds is no mapping.
        """
        self._check_running()
        if timeout is not None:
            raise ValueError(
                "a call in a thread cannot be ended after a time: only its result may be waited "
                "for so long, by get(timeout)"
            )
        arguments, named = kept.to_arguments("args", args), kept.to_keywords("kwds", kwds)
        job = ThreadResult(self, callback, error_callback)
        # Why a lambda for named arguments only: it would stand in tracebacks.
        function = (lambda *given: func(*given, **named)) if named else func
        task = Task(job, function, lambda: (0, [arguments]), star=True)
        self._shared.submit(job, task, 1)
        return job  # type: ignore[return-value]

    def _map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        mode: int,
        chunksize: int | None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        awaited: bool = False,
    ) -> MapResult[Any]:
        self._check_running()
        try:
            items: Any = iterable if type(iterable) is range else list(iterable)
        except TypeError as error:
            note_what_is_mapped(error, func, iterable)
            raise
        chunk = chunk_for(len(items), self._processes, chunksize) or 1
        if chunk < _FEW:
            items = list(items)
        parts = -(-len(items) // chunk)
        job = ThreadMapResult(self, len(items), parts, callback, error_callback)
        if parts > 0:
            starts = iter(range(0, len(items), chunk))

            def next_part() -> tuple[int, Any]:
                start = next(starts)
                return start, items[start : start + chunk]

            self._shared.submit(job, Task(job, func, next_part, mode == _core.STAR), parts)
        return job  # type: ignore[return-value]

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator[Any]:
        """The results of func for each item, in order, as an iterator.

        An item that has failed raises from next(), and the iterator goes on after it. The input is
        drawn at most 1,024 tasks ahead of what was consumed; close() lifts the bound.

        Args:
            chunksize: Items a task.
        Raises:
            ValueError: The pool takes no tasks; or chunksize is less than 1.
            BrokenProcessPool: The initializer has raised.
        """
        return self._draw(True, func, iterable, chunksize)  # type: ignore[no-any-return]

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapUnorderedIterator[Any]:
        """As imap(), in the order in which results come.

        Raises: As imap().
        """
        return self._draw(False, func, iterable, chunksize)  # type: ignore[no-any-return]

    def _draw(
        self, ordered: bool, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int
    ) -> Any:
        self._check_running()
        chunk = to_chunk(chunksize)
        kind = Input if type(iterable) in (list, tuple, range) else DrawnByThread
        job = ThreadIterator(self, ordered)
        submitter = Submitter(self._shared, job, func, chunk)
        try:
            submitter.begin()
            source: Any = kind(submitter, iterable, chunk)
            job._input = submitter.input = source
            half = source.bound // 2
            if isinstance(source, DrawnByThread):
                job._set_feed(source.wanted, half)
                source.start(job, submitter.end)
            else:
                job._set_feed(lambda: source.draw(half), half)
                source.draw(source.bound)
        except BaseException as error:
            submitter.stop()
            submitter.end(error)  # the caller has no iterator
            raise
        return job

    # --- the end ---

    def close(self) -> None:
        """Take no more tasks; workers leave when those queued are done. A second call does nothing.

        In a forked child, whose parent's pool it is, only the child's tasks are refused.
        """
        if self._state != RUN:
            return
        self._state = CLOSE
        if self._is_ours():
            _log.debug("closing pool")
            self._shared.close()

    def terminate(self) -> None:
        """Take nothing more from the queue, and do not wait for functions that run.

        Tasks without a result fail with PoolTerminated; their callbacks are not called. A second
        call does nothing.
        """
        _log.debug("terminating pool")
        self._state = TERMINATE
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have left and callbacks have run, however long that takes.

        Call close() or terminate() first. A worker or a callback that calls it does not wait for
        itself. After terminate() a function that still runs is not waited for: nothing can end a
        thread.

        Raises:
            ValueError: The pool still runs, or it belongs to another process.
        """
        _log.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        if not self._is_ours():
            raise ValueError("the pool's threads are another process's: only that one joins them")
        self._shared.let_go()  # what a handler has raised may have left that out
        me = threading.current_thread()
        for worker in list(self._shared.workers):
            if worker is not me:
                self._shared.await_leaving(worker)
        caller = self._shared.caller
        if caller is not None and caller is not me:
            caller.join()


def _end(shared: Shared) -> None:
    _log.debug("finalizing pool")
    shared.end(terminated())
