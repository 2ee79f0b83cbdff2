"""Pool, on processes: what programs call."""

from __future__ import annotations

# Why all at once: a program may change its root or its user, and then not find a module any more.
import _warnings
from _collections_abc import Callable, Iterable

from forkful import _core, _errors, _finalize, _log
from forkful._child import kept
from forkful._pool.arguments import (
    check_arguments,
    chunk_for,
    note_what_is_mapped,
    to_chunk,
)
from forkful._pool.inputs import Input, ThreadedInput
from forkful._pool.results import (
    ApplyResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    decode_error,
    decode_plain_error,
)
from forkful._pool.supervise import Backlog, WorkerMaker, Workers
from forkful.context import default_context, our_context

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from forkful.context import BaseContext
    from forkful.process import BaseProcess

    _S = TypeVar("_S")
    _T = TypeVar("_T")
    _Callback = Callable[[_T], object] | None
    _ErrorCallback = Callable[[BaseException], object] | None

__all__ = ["CLOSE", "INIT", "Pool", "RUN", "TERMINATE"]

INIT = "INIT"
RUN = "RUN"
CLOSE = "CLOSE"
TERMINATE = "TERMINATE"


class Pool:
    """A pool of worker processes.

    Calls may come from any thread, and from handlers of signals. A pool belongs to the process that
    made it; in a child that this forks, every call for tasks raises ValueError.

    Where a pool is no longer good for tasks, a call for them raises, and has handed in nothing:
    ValueError after close() or terminate(), BrokenProcessPool when workers die at their start again
    and again. A task that was handed in ends with its result, what its function raised, WorkerDied,
    or PoolTerminated.

    Differs from multiprocessing: a worker that dies costs the item that it ran, not the program;
    apply_async() has a time-out; daemonic processes may have pools.

    Args:
        processes: How many; by default as many as there are CPUs for this process.
        initializer: Called in each worker before its first task, with `initargs`. Where it raises,
            that worker ends; the first traceback is on stderr.
        maxtasksperchild: Replace a worker after so many tasks (chunks).
        context: The context whose Process makes the workers.
    Raises:
        ValueError: processes or maxtasksperchild is less than 1.
        TypeError: initializer cannot be called, initargs is not iterable, or processes no integer.
        OSError: The system has no room for a worker; those that had started are ended.
    """

    __module__ = "forkful.pool"  # where programs find it

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
    ) -> None:
        self._state = INIT
        self._ctx = our_context(context or default_context)
        if processes is None:
            processes = _core.cpu_count()
        check_arguments(processes, initializer, maxtasksperchild)
        self._processes = processes
        initializer, arguments = kept.to_call(initializer, "initargs", initargs)
        self._workers = Workers(
            WorkerMaker(self, self._ctx), initializer, arguments, maxtasksperchild
        )
        self._pool = self._workers.all
        self._inputs = self._workers.inputs
        decode = decode_error if self._wrap_exception else decode_plain_error
        self._core = _core.PoolClient(processes, self._workers, decode)
        self._terminate = _finalize.Finalize(self, _end, (self._core,), exitpriority=15)
        try:
            self._core.start()
        except BaseException:
            self._terminate()
            raise
        self._state = RUN

    @staticmethod
    def Process(ctx: BaseContext, *args: Any, **kwds: Any) -> BaseProcess:
        """A worker to be; a subclass may make another kind of process.

        Raises: What the context's Process raises for its arguments.
        """
        return ctx.Process(*args, **kwds)

    def _is_ours(self) -> bool:
        """Whether this process made the pool; a forked child has only a copy of it."""
        return self._core.is_ours

    # --- what programs look at ---

    # Whether an exception has its traceback in the worker as its cause; a subclass may say no.
    _wrap_exception = True

    @property
    def _cache(self) -> dict[int, Any]:
        """The results that are not there yet."""
        return {job._id: job for job in self._core.unfinished_jobs()}

    @property
    def _taskqueue(self) -> Backlog:
        """How many calls wait; a map counts once."""
        return Backlog(self._core)

    _inqueue = _outqueue = _taskqueue

    def _repopulate_pool(self) -> None:
        """Replace workers that have ended; that also happens by itself when there is work."""
        if self._state == RUN and self._core.is_usable:
            self._core.look()
            self._core.start()

    # --- tasks ---

    def _check_running(self) -> None:
        if self._state == RUN and self._core.is_usable:
            return
        broken = self._core.broken
        if broken is not None:
            raise broken
        if self._state != RUN:
            raise ValueError("Pool not running: it was closed or terminated; make a new one")
        raise ValueError("Pool not running: it belongs to another process; make one here")

    def _job(
        self, cls: Any, kind: int, callback: _Callback[Any], error_callback: _ErrorCallback
    ) -> Any:
        wants = callback is not None or error_callback is not None
        job = cls(self._core, kind, wants)
        job._pool = self
        if wants:
            job._callback = callback
            job._error_callback = error_callback
        return job

    def apply(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
    ) -> _T:
        """Call func(*args, **kwds) in a worker and return its result.

        With a limit of time: apply_async(func, args, timeout=seconds).get().

        Raises:
            WorkerDied: The worker was killed or exited; whether func has had effects is not known.
            Exception: What func raised, with its traceback there as __cause__; or what pickling
                func or an argument raised, with nothing called.
            MaybeEncodingError: func has returned what cannot be pickled.
            ValueError, BrokenProcessPool: The pool takes no tasks; see Pool.
            TypeError: args is not iterable, or kwds is no mapping.
            PoolTerminated: Another thread has terminated the pool.
        """
        self._check_running()
        if isinstance(args, str | bytes):
            func, args = kept.call_with_text, (func, "args", args)
        job: ApplyResult[_T] = ApplyResult(self._core, _core.CALL, False)
        self._core.call(job, func, args, kwds)
        return job.get()

    def apply_async(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
        callback: _Callback[_T] = None,
        error_callback: _ErrorCallback = None,
        timeout: float | None = None,
    ) -> ApplyResult[_T]:
        """As apply(), but return an ApplyResult at once, whose get() raises what apply() would.

        Callbacks run one after the other in a thread of the pool, with the result or the exception;
        what they raise is printed. Until its callback has returned a result is not ready.

        Args:
            timeout: How many seconds the call may take, from when a worker begins it. After that
                the worker is killed and replaced, and the result is TimeoutError. (Not in
                multiprocessing.)
        Raises:
            ValueError: The pool takes no tasks, see Pool; or timeout is less than 0.
            BrokenProcessPool: The same, since workers died at their start.
            TypeError: args is not iterable, kwds is no mapping, or timeout no number.
        """
        self._check_running()
        if isinstance(args, str | bytes):
            func, args = kept.call_with_text, (func, "args", args)
        if callback is None and error_callback is None:
            job: ApplyResult[_T] = ApplyResult(self._core, _core.CALL, False)
            job._pool = self
        else:
            job = self._job(ApplyResult, _core.CALL, callback, error_callback)
        if timeout is None:
            self._core.call(job, func, args, kwds)
        else:
            self._core.call(job, func, args, kwds, timeout)
        return job

    def map(
        self, func: Callable[[_S], _T], iterable: Iterable[_S], chunksize: int | None = None
    ) -> list[_T]:
        """[func(item) for item in iterable], in the workers; the iterable is read to its end first.

        Where func raises for an item, or its worker dies, the first of these errors is raised, and
        the other items are run all the same. To wait for so many seconds at most:
        map_async(func, iterable).get(seconds).

        Differs from multiprocessing: a result is sent as it is when func returns it. Two results of
        one task are the same object here if the second was the first one there, unchanged; if they
        only have a part in common, each has its own.

        Args:
            chunksize: Items a task; by default the items make four tasks for each worker.
        Raises:
            WorkerDied: A worker has died; its `item` counts from 0.
            Exception: What func or the iterable raised, or what pickling func or an item raised:
                that item's task was not run then.
            ValueError: chunksize is less than 1; or as for apply().
            MaybeEncodingError, BrokenProcessPool, PoolTerminated: As for apply().
        """
        return self._map_async(func, iterable, _core.MAP, chunksize, awaited=True).get()

    def starmap(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[_T]:
        """[func(*item) for item in iterable], in the workers; otherwise as map().

        Raises: As map(), and TypeError for an item that is not iterable.
        """
        return self._map_async(func, iterable, _core.STAR, chunksize, awaited=True).get()

    def map_async(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        chunksize: int | None = None,
        callback: _Callback[list[_T]] = None,
        error_callback: _ErrorCallback = None,
    ) -> MapResult[_T]:
        """As map(), but return a MapResult at once, whose get() raises what map() would.

        Callbacks: as for apply_async(); `callback` gets the list.

        Raises:
            ValueError, BrokenProcessPool: The pool takes no tasks; see Pool.
            Exception: What the iterable raised; nothing was handed in then.
        """
        return self._map_async(func, iterable, _core.MAP, chunksize, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: _Callback[list[_T]] = None,
        error_callback: _ErrorCallback = None,
    ) -> MapResult[_T]:
        """As starmap(), but return a MapResult at once; otherwise as map_async().

        Raises: As map_async().
        """
        return self._map_async(func, iterable, _core.STAR, chunksize, callback, error_callback)

    def _map_async(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Any],
        mode: int,
        chunksize: int | None,
        callback: _Callback[list[_T]] = None,
        error_callback: _ErrorCallback = None,
        awaited: bool = False,
    ) -> MapResult[_T]:
        self._check_running()
        items: range | list[Any]
        try:
            items = iterable if type(iterable) is range else list(iterable)
        except TypeError as error:
            note_what_is_mapped(error, func, iterable)
            raise
        chunksize = chunk_for(len(items), self._processes, chunksize)
        if awaited:
            job: MapResult[_T] = MapResult(self._core, _core.LIST, False)
        else:
            job = self._job(MapResult, _core.LIST, callback, error_callback)
        job._prepare(len(items))
        self._core.submit(job, func, items, chunksize, mode, True)
        return job

    def imap(
        self, func: Callable[[_S], _T], iterable: Iterable[_S], chunksize: int = 1
    ) -> IMapIterator[_T]:
        """The results of func for each item, in order, as an iterator.

        An item that has failed raises from next(), and the iterator goes on after it. What the
        iterable raises comes after the results of all whole tasks that it had given.

        Differs from multiprocessing: the input is drawn at most 1,024 tasks ahead of what was
        consumed; close() lifts the bound.

        Args:
            chunksize: Items a task.
        Raises:
            ValueError: The pool takes no tasks, see Pool; or chunksize is less than 1.
            BrokenProcessPool: The same, since workers died at their start.
        """
        results: IMapIterator[_T]
        results = self._imap(IMapIterator, _core.ORDERED, func, iterable, chunksize)
        return results

    def imap_unordered(
        self, func: Callable[[_S], _T], iterable: Iterable[_S], chunksize: int = 1
    ) -> IMapUnorderedIterator[_T]:
        """As imap(), in the order in which results come.

        Raises: As imap().
        """
        results: IMapUnorderedIterator[_T]
        results = self._imap(IMapUnorderedIterator, _core.UNORDERED, func, iterable, chunksize)
        return results

    def _imap(
        self, cls: Any, kind: int, func: Callable[[_S], _T], iterable: Iterable[_S], chunk: int
    ) -> Any:
        self._check_running()
        chunk = to_chunk(chunk)
        job = cls(self._core, kind, False)
        job._pool = self
        core = self._core

        def submit(items: list[Any], last: bool) -> None:
            core.submit(job, func, items, chunk, _core.MAP, last)

        # The pool knows of the job and its input before anything is drawn: what is drawn, and the
        # handlers of signals, may end the pool.
        source: Input
        if type(iterable) in (list, tuple, range):
            # Drawing from these is quick and runs nobody's code, so the consumer does it.
            source = Input(submit, iterable, chunk)
        else:
            source = ThreadedInput(submit, iterable, chunk)
        job._input = source
        self._inputs.add(source)
        try:
            if isinstance(source, ThreadedInput):
                submit([], False)
                job._set_feeder(source.wanted, source.bound // 2)
                source.start(job, lambda error: core.end_input(job, error))
            else:
                source.draw(source.bound)
                job._set_feeder(lambda: source.draw(source.bound // 2), source.bound // 2)
        except BaseException as error:
            # The caller has no iterator.
            source.stop()
            core.end_input(job, error)
            raise
        return job

    # --- the end ---

    def close(self) -> None:
        """Take no more tasks; workers leave when those queued are done. A second call does nothing.

        In a forked child, whose parent's pool it is, only the child's tasks are refused.
        """
        if self._state == RUN and not self._is_ours():
            self._state = CLOSE
        elif self._state == RUN:
            _log.debug("closing pool")
            for source in list(self._inputs):
                source.lift()
            self._state = CLOSE
            self._workers.shown = self._processes
            self._core.close()

    def terminate(self) -> None:
        """End the workers now: SIGTERM, and SIGKILL after a second.

        Tasks without a result fail with PoolTerminated, in whichever thread waits for them; their
        callbacks are not called. A signal's handler that raises meanwhile ends the second of grace,
        and its exception comes when all is over. A second call does nothing.
        """
        _log.debug("terminating pool")
        self._state = TERMINATE
        self._workers.shown = self._processes
        for source in list(self._inputs):
            source.stop()
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have left and callbacks have run, however long that takes.

        Call close() or terminate() first. It may be called again, also after Ctrl-C has ended it.

        Raises:
            ValueError: The pool still runs, or it belongs to another process.
        """
        _log.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        if not self._is_ours():
            raise ValueError("the pool's workers are another process's: only that one joins them")
        if self._state == CLOSE:
            # Again: a signal's handler may have raised in the midst of close(), or closed it in the
            # midst of a draw and raised.
            for source in list(self._inputs):
                source.lift()
        self._core.join()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *args: object) -> None:
        self.terminate()

    def __reduce__(self) -> tuple[object, ...]:
        raise NotImplementedError(
            "pool objects cannot be passed between processes or pickled: leave it out in "
            "__getstate__() of what has it"
        )

    def __del__(self) -> None:
        if getattr(self, "_state", INIT) == RUN and self._is_ours():
            _warnings.warn(
                f"unclosed running multiprocessing pool {self!r}",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        cls = type(self)
        size = len(self._pool)
        return f"<{cls.__module__}.{cls.__qualname__} state={self._state} pool_size={size}>"


def _end(core: _core.PoolClient) -> None:
    # At the program's end only daemon threads wait: they end with it, and no error wakes them.
    _log.debug("finalizing pool")
    error = _errors.PoolTerminated("the pool was terminated before this task had a result")
    core.terminate(error, _finalize.is_exiting())
    core.join()
