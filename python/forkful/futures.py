"""ProcessPoolExecutor, under the names of concurrent.futures.process.

    submit(), map() ─► the pool's ring of tasks ─► workers ─► ring of results ─► futures

It stands on the same pool as forkful.pool. A future collects its result when it is asked for it;
for whoever waits by other means (as_completed(), wait(), asyncio, callbacks) the executor's thread
completes it. What it is made of is in _futures/; this file has what programs call.
"""

from __future__ import annotations

import itertools
import operator
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import _base

from forkful import _core, _errors
from forkful import context as _context
from forkful._child import kept
from forkful._errors import BrokenProcessPool, WorkerDied
from forkful._futures import manager as _manager
from forkful._futures import mapping, remote, stand_ins, worker
from forkful._futures.future import Future, Task
from forkful._futures.stand_ins import EXTRA_QUEUED_CALLS
from forkful._futures.workers import ExecutorWorkers

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from forkful.context import BaseContext
    from forkful.process import BaseProcess

    _T = TypeVar("_T")

__all__ = ["EXTRA_QUEUED_CALLS", "BrokenProcessPool", "ProcessPoolExecutor", "WorkerDied"]

_errors.note_standard()

# What programs and tests look for under the names that concurrent.futures has.
_MAX_WINDOWS_WORKERS = 61
_system_limits_checked = True
_CallItem = stand_ins.CallItem
_SafeQueue = stand_ins.CallQueue
_ResultItem = stand_ins.ResultItem
_WorkItem = stand_ins.WorkItem
_ExceptionWithTraceback = remote.ExceptionWithTraceback
_RemoteTraceback = remote.RemoteTraceback
_ExecutorManagerThread = _manager.ExecutorManagerThread
_ThreadWakeup = _manager.ThreadWakeup
_chain_from_iterable_of_lists = itertools.chain.from_iterable
_get_chunks = mapping.chunks_of
_process_chunk = mapping.process_chunk
_process_worker = worker.work
_python_exit = _manager.leave_all
_threads_wakeups = _manager.wakeups

threading._register_atexit(_python_exit)  # type: ignore[attr-defined]


def _check_system_limits() -> None:
    """Nothing to check: there are no semaphores of the system's that could run out."""


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> Any:
        if name == "_global_shutdown":
            return _manager.exiting()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ProcessPoolExecutor(_base.Executor):
    """Runs calls in worker processes; submit() returns a Future for each.

    The workers start with the first call: under "fork" all of them, otherwise one when no other is
    idle. An executor that is dropped, and the end of the program, finish the calls that there are.

    Where a worker dies, the executor is broken: every unfinished call fails with BrokenProcessPool,
    and new ones are refused. on_worker_death="isolate" has only the call fail that it ran, with
    WorkerDied, and replaces the worker.

    Args:
        max_workers: How many; by default as many as there are CPUs for this process.
        mp_context: The context whose Process makes the workers.
        initializer: Called in each worker before its first call, with `initargs`. Where it raises,
            the executor is broken.
        max_tasks_per_child: Replace a worker after so many calls; not under "fork", and by default
            under "spawn".
        on_worker_death: "break", as in concurrent.futures, or "isolate".
    Raises:
        ValueError: A number is less than 1, there is no such on_worker_death, or
            max_tasks_per_child comes with the start method "fork".
        TypeError: initializer cannot be called, or max_tasks_per_child is no integer.
    """

    # What begins with the first call.
    _client: _core.PoolClient | None = None
    _parts: tuple[_core.PoolClient, ExecutorWorkers]
    _executor_manager_thread: _ExecutorManagerThread | None = None
    _executor_manager_thread_wakeup: _ThreadWakeup | None = None

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        on_worker_death: str = "break",
    ) -> None:
        _check_system_limits()
        if max_workers is None:
            max_workers = _core.cpu_count()
        elif max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        if on_worker_death not in ("break", "isolate"):
            raise ValueError(f'on_worker_death is "break" or "isolate", not {on_worker_death!r}')
        if mp_context is None:
            mp_context = _context.default_context.get_context(
                None if max_tasks_per_child is None else "spawn"
            )
        self._mp_context = mp_context
        method = mp_context.get_start_method(allow_none=False)
        _check_tasks_per_child(max_tasks_per_child, method)
        self._max_workers = max_workers
        self._safe_to_dynamically_spawn_children = method != "fork"
        self._max_tasks_per_child = max_tasks_per_child
        self._on_worker_death = on_worker_death
        self._initializer, self._initargs = kept.to_call(initializer, "initargs", initargs)
        self._processes: dict[int, BaseProcess] | None = {}
        self._call_queue: stand_ins.CallQueue | None = stand_ins.CallQueue(self)
        self._shutdown_thread = False
        self._shutdown_lock = threading.RLock()
        self._queue_count = 0
        self._wanted = 0  # workers, where they start on demand
        self._reused = 0  # calls for which an idle worker was there

    # --- the parts that begin with the first call ---

    def _begin(self) -> _core.PoolClient:
        """Make the pool, its workers and its thread, as far as they are not there.

        Every step is done once, whoever comes in between: another thread, or a signal's handler.
        """
        if self._shutdown_thread:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _manager.exiting():
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        self._start_executor_manager_thread()
        return self._parts[0]

    def _make_pool(self) -> tuple[_core.PoolClient, ExecutorWorkers]:
        if self._client is None:
            workers = ExecutorWorkers(
                _context.our_context(self._mp_context),
                self._initializer,
                self._initargs,
                self._max_tasks_per_child,
                self._on_worker_death == "isolate",
                self._processes if self._processes is not None else {},
            )
            core = _core.PoolClient(
                self._max_workers, workers, remote.decode_error, True, not workers.isolates
            )
            if self._safe_to_dynamically_spawn_children:
                core.want(0)
            self.__dict__.setdefault("_parts", (core, workers))
            self._client = self._parts[0]
        return self._parts

    def _start_executor_manager_thread(self) -> None:
        core, workers = self._make_pool()
        if not self._safe_to_dynamically_spawn_children:
            self._launch_processes()
        wakeup = _ThreadWakeup()
        thread = _ExecutorManagerThread(self, core, workers, wakeup)
        try:
            if self.__dict__.setdefault("_executor_manager_thread", thread) is not thread:
                return
            self._executor_manager_thread_wakeup = wakeup
            _threads_wakeups[thread] = wakeup
            thread.start()
        except BaseException:
            if thread.ident is None:
                _threads_wakeups.pop(thread, None)
                if self.__dict__.get("_executor_manager_thread") is thread:
                    del self._executor_manager_thread
            raise

    def _launch_processes(self) -> None:
        """Start the workers that are missing."""
        self._make_pool()[0].start()

    def _adjust_process_count(self) -> None:
        """Before a call is handed in: start another worker, if none is idle and there may be."""
        core, _ = self._make_pool()
        if core.results > self._reused:
            self._reused += 1
        elif self._wanted < self._max_workers:
            self._wanted += 1
            self._spawn_process()

    def _spawn_process(self) -> None:
        core, _ = self._make_pool()
        core.want(self._wanted)
        core.start()

    # --- calls ---

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Have a worker call fn(*args, **kwargs); the Future has what it returns or raises.

        What cannot be pickled fails its future.

        Raises:
            BrokenProcessPool: A worker has died; see ProcessPoolExecutor.
            RuntimeError: The executor was shut down, or another process has begun to use it.
            OSError: The system has no room for a worker.
        """
        core = self._client
        if core is None or self._executor_manager_thread is None:
            core = self._begin()
        if self._safe_to_dynamically_spawn_children:
            self._adjust_process_count()
        self._queue_count += 1
        job: Task[_T] = Task(core, _core.CALL, False)
        future: Future[_T] = Future(job)
        job._future = future
        core.call(job, fn, args, kwargs)
        if job._done:
            future._settle()
        return future

    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[_T]:
        """fn's results for map(fn, *iterables), as an iterator, in order.

        The calls are handed in at once. Where one raises, or the iterator is closed, those that no
        worker has begun are cancelled.

        Args:
            timeout: How many seconds after this call the last result may come.
            chunksize: Calls that go to a worker together.
            buffersize: Draw the iterables only so many tasks ahead of the results that were taken.
        Raises:
            TimeoutError: From the iterator: a result was not there in time.
            ValueError: chunksize or buffersize is less than 1.
            BrokenProcessPool, RuntimeError, OSError: As submit().
        """
        chunk = operator.index(chunksize)
        if chunk < 1:
            raise ValueError(f"chunksize must be >= 1, not {chunk}")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else timeout + time.monotonic()
        if type(self).submit is not ProcessPoolExecutor.submit or "submit" in self.__dict__:
            submit = self.submit
            chunks = mapping.chunks_of(zip(*iterables), chunk)  # noqa: B905
            return mapping.results_by_submit(
                lambda each: submit(mapping.process_chunk, fn, each), chunks, end, buffersize
            )
        return self._map(fn, iterables, min(chunk, _core.MOST_ITEMS), end, buffersize)

    def _map(
        self,
        fn: Callable[..., _T],
        iterables: tuple[Iterable[Any], ...],
        chunk: int,
        end: float | None,
        bound: int | None,
    ) -> Iterator[_T]:
        core = self._client
        if core is None or self._executor_manager_thread is None:
            core = self._begin()
        job: Any = _core.JobIterator(core, _core.ORDERED, False)
        mode = _core.MAP if len(iterables) == 1 else _core.STAR
        source: Any = iterables[0] if mode == _core.MAP else zip(*iterables)  # noqa: B905

        def submit(items: Any, last: bool) -> None:
            count = -(-len(items) // chunk)
            self._queue_count += count
            if self._safe_to_dynamically_spawn_children:
                for _ in range(min(count, self._max_workers)):
                    self._adjust_process_count()
            core.submit(job, fn, items, chunk, mode, last)

        if bound is None:
            submit(source if type(source) is range else list(source), True)
            return mapping.results_of(job, end, None)
        feed = mapping.Feed(
            submit, lambda error: core.end_input(job, error), iter(source), bound, chunk
        )
        self._parts[1].feeds.add(feed)
        feed.draw(feed.bound)
        return mapping.results_of(job, end, feed)

    # --- the end ---

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. It may be called again.

        Args:
            wait: Return when all calls have come to their end, and the workers have left.
            cancel_futures: Cancel the calls that no worker has begun.
        """
        self._shutdown_thread = True
        thread = self._executor_manager_thread
        wakeup = self._executor_manager_thread_wakeup
        if thread is None or self._client is None or not self._client.is_ours:
            return
        self._client.close()
        error = RuntimeError("cannot schedule new futures after shutdown")
        for source in list(self._parts[1].feeds):
            source.stop(error)
        if cancel_futures:
            for future in self._client.cancel_waiting(_base.CancelledError()):
                future._note_cancelled()
        thread.ends = True
        if wakeup is not None:
            wakeup.wakeup()
        if wait and thread is not threading.current_thread():
            thread.join()
        self._executor_manager_thread_wakeup = None
        self._processes = self._call_queue = None

    def terminate_workers(self) -> None:
        """End the workers by SIGTERM; calls that they ran fail with BrokenProcessPool.

        What no worker has begun is cancelled, and the executor is shut down.

        Raises:
            PermissionError: This process has changed its user and may not.
        """
        self._end_workers("terminate")

    def kill_workers(self) -> None:
        """As terminate_workers(), by SIGKILL.

        Raises: As terminate_workers().
        """
        self._end_workers("kill")

    def _end_workers(self, how: str) -> None:
        ours = self._client is not None and self._client.is_ours
        workers = list((self._processes or {}).values()) if ours else []
        self.shutdown(wait=False, cancel_futures=True)
        for process in workers:
            try:
                if process.is_alive():
                    getattr(process, how)()
            except ValueError:
                pass  # it was closed: it has ended

    # --- what programs look at ---

    @property
    def _broken(self) -> str | bool:
        if self._client is None:
            return False
        if self._client.broken is None:
            self._client.look()
        broken = self._client.broken
        return False if broken is None else str(broken)

    @property
    def _pending_work_items(self) -> dict[int, stand_ins.WorkItem]:
        if self._client is None:
            return {}
        jobs = [(job._id, job._future) for job in self._client.unfinished_jobs()]
        return {
            id: stand_ins.WorkItem(future, None, (), {})
            for id, future in jobs
            if future is not None
        }

    @property
    def _idle_worker_semaphore(self) -> threading.Semaphore:
        idle = 0 if self._client is None else self._client.results - self._reused
        return threading.Semaphore(max(0, idle))


def _check_tasks_per_child(most: Any, method: str | None) -> None:
    if most is None:
        return
    if not isinstance(most, int):
        raise TypeError(f"max_tasks_per_child must be an integer, not {most!r}")
    if most <= 0:
        raise ValueError(f"max_tasks_per_child must be >= 1, not {most}")
    if method == "fork":
        raise ValueError(
            "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; "
            "supply a different mp_context, as forkful.get_context('spawn')"
        )
