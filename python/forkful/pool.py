"""Pool: workers that pull tasks from one shared ring.

    map(), apply_async() … ─► ring of tasks ─► workers ─► ring of results ─► whoever waits

The thread that waits for a result collects it, and looks after the workers meanwhile. While nobody
waits and there is work, the pool's attendant does both: a thread that begins with the first
asynchronous call. Callbacks run in a second one, and may wait for whatever the pool does. A worker
that dies loses the item it was running, which raises WorkerDied, and is replaced. The rules are the
engine's, the same as in C++ (include/forkful/bytes/pool_owner.hpp); this file has what they need of
Python.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable

# Why all at once: a program may change its root or its user, and then not find a module any more.
from forkful import _core, errors, later, process, util
from forkful.handlers import is_from_handler
from forkful.pool_input import Input, ThreadedInput
from forkful.pool_results import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    RemoteTraceback,
    decode_error,
    encode_error,
)
from forkful.popen_fork import Popen

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful.process import BaseProcess

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "RemoteTraceback",
    "ThreadPool",
]

INIT = "INIT"
RUN = "RUN"
CLOSE = "CLOSE"
TERMINATE = "TERMINATE"


def _initialize(
    initializer: Callable[..., object], initargs: tuple[Any, ...], untold: _core.Semaphore
) -> None:
    """Call a pool's initializer. What it raises is printed once, however many workers it ends.

    Args:
        untold: A permit to print.
    """
    worker = os.getpid()
    try:
        initializer(*initargs)
    except Exception as error:
        if os.getpid() != worker:
            raise
        if untold.acquire(False):
            trace = error.__traceback__.tb_next if error.__traceback__ else None
            text = "".join(traceback.format_exception(type(error), error, trace))
            name = process.current_process().name
            sys.stderr.write(
                f"Process {name}, in the pool's initializer (the first failure is shown):\n{text}"
            )
        raise SystemExit(1) from None
    if untold.get_value() == 0:
        untold.release()  # what fails after this is another failure


def _work(
    core: _core.PoolClient,
    index: int,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    untold: _core.Semaphore | None,
    maxtasks: int | None,
) -> None:
    """A worker's life."""
    worker = os.getpid()
    try:
        if initializer is not None and untold is not None:
            _initialize(initializer, initargs, untold)
        if os.getpid() == worker:
            _core.run_worker(core, index, maxtasks or 0, encode_error)
    except BaseException as error:
        if os.getpid() != worker:
            process._end_forked(error)
        if isinstance(error, KeyboardInterrupt):
            # The parent has had it as well, and says what there is to say.
            raise SystemExit(1) from None
        raise
    if os.getpid() != worker:
        process._end_forked(None)


class _Workers:
    """The processes of a pool by slot, as the engine's owner of the pool asks for them."""

    def __init__(
        self,
        context: Any,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        maxtasks: int | None,
    ) -> None:
        self.all: list[BaseProcess] = []
        self.inputs: weakref.WeakSet[Input] = weakref.WeakSet()
        self._context = context
        self._untold = _core.Semaphore(1) if initializer is not None else None
        self._plan = (initializer, initargs, self._untold, maxtasks)
        self._by_slot: dict[int, BaseProcess] = {}

    def start(self, core: _core.PoolClient, slot: int) -> int:
        """Start a process that works in this slot, and return its pid."""
        worker = self._context.Process(target=_work, args=(core, slot, *self._plan))
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = True
        worker._pool_worker = True
        self._by_slot[slot] = worker
        worker.start()
        self.all.append(worker)
        util.debug("added worker")
        return worker.pid  # type: ignore[no-any-return]

    def adopt(self, slot: int, pid: int, member: int) -> None:
        """After start() was left by an exception after its fork: the worker is known all the same.

        May itself be left so, and is called again then.
        """
        worker = self._by_slot[slot]
        worker._set_started(worker._popen or Popen.adopt(pid, member))
        if worker not in self.all:
            self.all.append(worker)

    def ended(self, slot: int) -> int | None:
        """The exit code; None while it runs, and where another thread has just given it back.

        Touches no lock of the family.
        """
        worker = self._by_slot.get(slot)
        return worker._started().ended() if worker is not None else None

    def send_signal(self, slot: int, number: int) -> None:
        worker = self._by_slot.get(slot)
        if worker is not None:
            worker._started().send_signal(number)

    def name(self, slot: int) -> str:
        return self._by_slot[slot].name

    def give_back(self, slot: int) -> None:
        """Its process has ended, and everything of it that counts was saved.

        As adopt(), it is called again where an exception has left it.
        """
        worker = self._by_slot.get(slot)
        if worker is None:
            return
        worker._started().poll()
        if worker in self.all:
            self.all.remove(worker)
        del self._by_slot[slot]

    def make_error(self, text: str, pid: int, code: int, item: int, late: bool) -> BaseException:
        """Why an item has no result."""
        if late:
            return errors.TimeoutError(text)
        errors.note_executors()
        return errors.WorkerDied(text, pid, code, item)

    is_from_handler = staticmethod(is_from_handler)

    def give_up(self, text: str | None, pid: int) -> BaseException | None:
        """No worker is started any more; why, unless the last start has said so.

        Args:
            pid: The last of those that died at their start; 0: it is not for such deaths.
        """
        for source in list(self.inputs):
            source.stop()
        if text is None:
            return None
        errors.note_executors()
        if pid != 0:
            text += f": {self._why_none_begins()}"
        return errors.BrokenProcessPool(text)

    def _why_none_begins(self) -> str:
        if self._untold is None:
            return "none came to its first task, and there is no initializer: what ends them?"
        if self._untold.get_value() == 0:
            return "the pool's initializer raises; the first traceback is on stderr"
        return (
            "the pool's initializer does not come to its end, and raises nothing: "
            "it calls sys.exit() or os._exit(), crashes, or is killed"
        )


class Pool:
    """A pool of worker processes.

    Args:
        processes: How many; by default as many as there are CPUs for this process.
        initializer: Called in each worker before its first task, with `initargs`.
        maxtasksperchild: Replace a worker after so many tasks (chunks).
        context: The context whose Process makes the workers.
    Raises:
        ValueError: processes or maxtasksperchild is less than 1.
        TypeError: initializer cannot be called.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        self._state = INIT
        if context is None:
            from forkful.context import default_context

            context = default_context
        self._ctx = context.get_context()
        if processes is None:
            processes = _core.cpu_count()
        if processes < 1:
            raise ValueError(
                f"Number of processes must be at least 1, not {processes}: "
                "leave it out to use every CPU"
            )
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0
        ):
            raise ValueError(
                f"maxtasksperchild must be a positive int or None, not {maxtasksperchild!r}"
            )
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        self._processes = processes
        self._workers = _Workers(self._ctx, initializer, tuple(initargs), maxtasksperchild)
        self._pool = self._workers.all
        self._inputs = self._workers.inputs
        self._core = _core.PoolClient(processes, self._workers, decode_error)
        self._terminate = util.Finalize(self, _end, (self._core,), exitpriority=15)
        try:
            self._core.start()
        except BaseException:
            self._terminate()
            raise
        self._state = RUN

    def Process(self, *args: Any, **kwargs: Any) -> Any:
        """A process of the pool's context."""
        return self._ctx.Process(*args, **kwargs)

    def _is_ours(self) -> bool:
        """Whether this process made the pool; a forked child has only a copy of it."""
        return self._core.is_ours

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
        self,
        cls: Any,
        kind: int,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
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
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
    ) -> Any:
        """Call func(*args, **kwds) in a worker and return its result.

        Raises:
            WorkerDied: The worker was killed or exited; whether func has had effects is not known.
            Exception: What func raised, with its traceback there as __cause__.
        """
        self._check_running()
        job = AsyncResult(self._core, _core.CALL, False)
        self._core.call(job, func, args, kwds)
        return job.get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        timeout: float | None = None,
    ) -> AsyncResult:
        """As apply(), but return an AsyncResult at once. Callbacks run in a thread of their own.

        Args:
            timeout: How many seconds the call may take, from when a worker begins it. After that
                the worker is killed and replaced, and the result is TimeoutError.
        """
        self._check_running()
        if callback is None and error_callback is None:
            job = AsyncResult(self._core, _core.CALL, False)
            job._pool = self
        else:
            job = self._job(AsyncResult, _core.CALL, callback, error_callback)
        if timeout is None:
            self._core.call(job, func, args, kwds)
        else:
            self._core.call(job, func, args, kwds, timeout)
        return job

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """[func(item) for item in iterable], in the workers.

        Where func raises for an item, or its worker dies (WorkerDied), the first of these is
        raised, and the other items are run all the same.

        Args:
            chunksize: Items a task; by default the items make four tasks for each worker.
        """
        return self._map_async(func, iterable, _core.MAP, chunksize, awaited=True).get()  # type: ignore[no-any-return]

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """[func(*item) for item in iterable], in the workers; otherwise as map()."""
        return self._map_async(func, iterable, _core.STAR, chunksize, awaited=True).get()  # type: ignore[no-any-return]

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult:
        """As map(), but return a MapResult at once."""
        result: MapResult = self._map_async(
            func, iterable, _core.MAP, chunksize, callback, error_callback
        )
        return result

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult:
        """As starmap(), but return a MapResult at once."""
        result: MapResult = self._map_async(
            func, iterable, _core.STAR, chunksize, callback, error_callback
        )
        return result

    def _map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        mode: int,
        chunksize: int | None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        awaited: bool = False,
    ) -> Any:
        self._check_running()
        items = list(iterable)
        if chunksize is None:
            chunksize, rest = divmod(len(items), self._processes * 4)
            chunksize += bool(rest)
        if awaited:
            job = MapResult(self._core, _core.LIST, False)
        else:
            job = self._job(MapResult, _core.LIST, callback, error_callback)
        job._prepare(len(items))
        self._core.submit(job, func, items, chunksize, mode, True)
        return job

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """The results of func for each item, in order, as an iterator.

        The input is drawn at most 1,024 tasks ahead of what was consumed; close() lifts the bound.
        """
        results: IMapIterator = self._imap(IMapIterator, _core.ORDERED, func, iterable, chunksize)
        return results

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapUnorderedIterator:
        """As imap(), in the order in which results come."""
        results: IMapUnorderedIterator = self._imap(
            IMapUnorderedIterator, _core.UNORDERED, func, iterable, chunksize
        )
        return results

    def _imap(
        self, cls: Any, kind: int, func: Callable[[Any], Any], iterable: Iterable[Any], chunk: int
    ) -> Any:
        self._check_running()
        if chunk < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunk:n}")
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
        """Take no more tasks; workers leave when those queued are done.

        In a forked child, whose parent's pool it is, only the child's tasks are refused.
        """
        if self._state == RUN and not self._is_ours():
            self._state = CLOSE
        elif self._state == RUN:
            util.debug("closing pool")
            for source in list(self._inputs):
                source.lift()
            self._state = CLOSE
            self._core.close()

    def terminate(self) -> None:
        """End the workers now; tasks without a result fail with PoolTerminated."""
        util.debug("terminating pool")
        self._state = TERMINATE
        for source in list(self._inputs):
            source.stop()
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have left. Call close() or terminate() first.

        Raises:
            ValueError: The pool still runs, or it belongs to another process.
        """
        util.debug("joining pool")
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
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __del__(self) -> None:
        if getattr(self, "_state", INIT) == RUN and self._is_ours():
            warnings.warn(
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
    error = errors.PoolTerminated("the pool was terminated before this task had a result")
    core.terminate(error, util.is_exiting())
    core.join()


ThreadPool = later.kind("ThreadPool")
