"""Pool: workers that pull tasks from one shared ring.

    map(), apply_async() … ─► ring of tasks ─► workers ─► ring of results ─► whoever waits

The thread that waits for a result collects it; only jobs with callbacks need a thread of their
own. A worker that dies loses the item it was running, which raises WorkerDied, and is replaced;
every call that touches the pool notices.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable

from forkful import _core, errors, later, util
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

# How a task's item becomes a call; as in bindings/pool_task.hpp.
_MAP, _STAR = 0, 1
# The kinds of job; as in bindings/pool_client.hpp.
_CALL, _LIST, _ORDERED, _UNORDERED = range(4)

_GRACE_SECONDS = 2.0
_CRASHES, _CRASH_SECONDS = 5, 10.0


def _work(
    core: _core.PoolClient,
    index: int,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    maxtasks: int | None,
) -> None:
    """A worker's life."""
    try:
        if initializer is not None:
            initializer(*initargs)
        _core.run_worker(core, index, maxtasks or 0, encode_error)
    except KeyboardInterrupt:
        # The parent has had it as well, and says what there is to say.
        raise SystemExit(1) from None


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
        self._pool: list[BaseProcess] = []
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
        self._initializer = initializer
        self._initargs = tuple(initargs)
        self._maxtasksperchild = maxtasksperchild
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._slots: dict[BaseProcess, int] = {}
        self._inputs: weakref.WeakSet[Input] = weakref.WeakSet()
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self._broken: BaseException | None = None
        self._maintaining = False
        self._collectors: list[threading.Thread] = []
        myself = weakref.ref(self)

        def maintain() -> None:
            pool = myself()
            if pool is not None:
                pool._maintain()

        self._core = _core.PoolClient(processes, maintain, decode_error)
        self._ended = threading.Event()
        self._to_end = (
            self._core,
            self._lock,
            self._ended,
            self._pool,
            self._slots,
            self._collectors,
        )
        try:
            for index in range(processes):
                self._start_worker(index)
        except BaseException:
            Pool._terminate_pool(*self._to_end)
            raise
        self._terminate = util.Finalize(
            self,
            Pool._terminate_pool,
            self._to_end,
            exitpriority=15,
        )
        self._state = RUN

    # --- workers ---

    def Process(self, *args: Any, **kwargs: Any) -> Any:
        """A process of the pool's context."""
        return self._ctx.Process(*args, **kwargs)

    def _start_worker(self, index: int) -> None:
        worker = self._ctx.Process(
            target=_work,
            args=(self._core, index, self._initializer, self._initargs, self._maxtasksperchild),
        )
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = True
        worker._pool_worker = True
        self._core.clear_worker(index)
        worker.start()
        self._pool.append(worker)
        self._slots[worker] = index
        util.debug("added worker")

    def _maintain(self) -> None:
        """Notice workers that have ended: what they were running is lost, and they are replaced."""
        if self._owner != os.getpid():
            return
        with self._lock:
            if self._ended.is_set():
                return
            if self._maintaining:
                return  # a burial collects results, and what it collects may ask for maintenance
            self._maintaining = True
            try:
                while ended := [w for w in self._pool if w.exitcode is not None]:
                    for worker in ended:
                        self._bury(worker)
                if self._state in (RUN, CLOSE) and self._broken is None:
                    self._repopulate_pool()
            finally:
                self._maintaining = False

    def _bury(self, worker: BaseProcess) -> None:
        index = self._slots[worker]
        pid, code = worker.pid or 0, worker.exitcode or 0
        was_ready = self._core.was_ready(index)

        def lost(item: int, job: int) -> BaseException:
            how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
            from forkful.futures import WorkerDied

            return WorkerDied(
                f"worker process {pid} {how} while running item {item} of job {job}; "
                "the other items are not affected and the pool goes on",
                pid,
                code,
                item,
            )

        self._core.worker_ended(index, lost)
        # Not before: an interrupt in between is followed by another burial.
        self._pool.remove(worker)
        del self._slots[worker]
        if was_ready:
            self._crashes.clear()
        else:
            self._note_crash(pid, code)

    def _note_crash(self, pid: int, code: int) -> None:
        """A worker died before it was ready: give up when that goes on and on."""
        self._crashes.append(time.monotonic())
        if len(self._crashes) == _CRASHES and self._crashes[-1] - self._crashes[0] < _CRASH_SECONDS:
            from forkful.futures import BrokenProcessPool

            self._broken = BrokenProcessPool(
                f"{_CRASHES} workers died at their start within {_CRASH_SECONDS:.0f} s, the last "
                f"({pid}) with exit code {code}: see the first traceback on stderr; "
                "is it the initializer?"
            )
            for source in list(self._inputs):
                source.stop()
            self._core.fail_all(self._broken)

    def _repopulate_pool(self) -> None:
        """Start workers for the free slots, unless the pool is closed and has nothing to do."""
        if self._state == CLOSE and not self._core.unfinished():
            return
        for index in sorted(set(range(self._processes)) - set(self._slots.values())):
            self._start_worker(index)

    @staticmethod
    def _terminate_pool(
        core: _core.PoolClient,
        lock: threading.RLock,
        ended: threading.Event,
        workers: list[BaseProcess],
        slots: dict[BaseProcess, int],
        collectors: list[threading.Thread],
    ) -> None:
        with lock:
            ended.set()  # from here on nobody buries or replaces workers
        core.stop()
        core.stop_callbacks()
        for worker in workers:
            worker.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.exitcode is None:
                worker.kill()
                worker.join()
        workers.clear()
        slots.clear()
        core.fail_all(
            errors.PoolTerminated("the pool was terminated before this task had a result")
        )
        _join_collectors(collectors)

    # --- tasks ---

    def _check_running(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._state != RUN:
            raise ValueError("Pool not running: it was closed or terminated; make a new one")
        if self._owner != os.getpid():
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
            self._need_collector()
        return job

    def _need_collector(self) -> None:
        if not self._collectors:
            collector = threading.Thread(
                target=_run_callbacks, args=(self._core,), name="forkful-callbacks", daemon=True
            )
            self._collectors.append(collector)
            collector.start()

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
    ) -> Any:
        """Call func(*args, **kwds) in a worker and return its result."""
        self._check_running()
        job = AsyncResult(self._core, _CALL, False)
        self._core.call(job, func, args, kwds)
        return job.get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},  # noqa: B006
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As apply(), but return an AsyncResult at once. Callbacks run in a thread of their own."""
        self._check_running()
        if callback is None and error_callback is None:
            job = AsyncResult(self._core, _CALL, False)
            job._pool = self
        else:
            job = self._job(AsyncResult, _CALL, callback, error_callback)
        self._core.call(job, func, args, kwds)
        return job

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """[func(item) for item in iterable], in the workers."""
        return self._map_async(func, iterable, _MAP, chunksize).get()  # type: ignore[no-any-return]

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """[func(*item) for item in iterable], in the workers."""
        return self._map_async(func, iterable, _STAR, chunksize).get()  # type: ignore[no-any-return]

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
            func, iterable, _MAP, chunksize, callback, error_callback
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
            func, iterable, _STAR, chunksize, callback, error_callback
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
    ) -> Any:
        self._check_running()
        items = list(iterable)
        if chunksize is None:
            chunksize, rest = divmod(len(items), self._processes * 4)
            chunksize += bool(rest)
        job = self._job(MapResult, _LIST, callback, error_callback)
        job._prepare(len(items))
        self._core.submit(job, func, items, chunksize, mode, True)
        return job

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """The results of func for each item, in order, as an iterator.

        The input is drawn at most 1,024 tasks ahead of what was consumed; close() lifts the bound.
        """
        results: IMapIterator = self._imap(IMapIterator, _ORDERED, func, iterable, chunksize)
        return results

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapUnorderedIterator:
        """As imap(), in the order in which results come."""
        results: IMapUnorderedIterator = self._imap(
            IMapUnorderedIterator, _UNORDERED, func, iterable, chunksize
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
            core.submit(job, func, items, chunk, _MAP, last)

        if type(iterable) in (list, tuple, range):
            # Drawing from these is quick and runs nobody's code, so the consumer does it.
            source = Input(submit, iterable, chunk)
            source.draw(source.bound)
            job._set_feeder(lambda: source.draw(source.bound // 2), source.bound // 2)
        else:
            threaded = ThreadedInput(submit, iterable, chunk)
            job._set_feeder(threaded.wanted, threaded.bound // 2)
            threaded.start(job, lambda error: core.end_input(job, error))
            source = threaded
        job._input = source
        self._inputs.add(source)
        return job

    # --- the end ---

    def close(self) -> None:
        """Take no more tasks; workers leave when those queued are done."""
        if self._state == RUN:
            util.debug("closing pool")
            for source in list(self._inputs):
                source.lift()
            self._state = CLOSE

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
            ValueError: The pool still runs.
        """
        util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        if self._state == CLOSE:
            while not self._core.wait(None):
                pass
            self._core.close()
            while self._pool:
                for worker in list(self._pool):
                    worker.join()
                self._maintain()
            self._core.stop_callbacks()
        _join_collectors(self._collectors)

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *args: object) -> None:
        self.terminate()

    def __reduce__(self) -> tuple[object, ...]:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __del__(self) -> None:
        if getattr(self, "_state", INIT) == RUN and self._owner == os.getpid():
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


def _join_collectors(collectors: list[threading.Thread]) -> None:
    # A callback may end its own pool.
    for collector in collectors:
        if collector is not threading.current_thread():
            collector.join()


def _run_callbacks(core: _core.PoolClient) -> None:
    while True:
        jobs = core.take_finished()
        if jobs is None:
            return
        for job in jobs:
            job._call_back()


ThreadPool = later.kind("ThreadPool")
