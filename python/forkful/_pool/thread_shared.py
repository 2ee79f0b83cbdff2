"""What the threads of a pool have in common: the line of tasks, jobs, callbacks, and the end."""

from __future__ import annotations

import _thread
import itertools
import os
import sys
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from forkful import _errors
from forkful._child import ending

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._pool.inputs import Input

__all__ = ["Shared", "Submitter", "Task", "terminated"]

# By a worker's thread, the items that it runs the function on. Whoever empties such a list has the
# worker stop after the item that it has.
_running: dict[int, list[Any]] = {}


def _stop_in_child() -> None:
    """A function has forked: the child has not to run it on the other items."""
    mine = _running.get(_thread.get_ident())
    _running.clear()  # other threads are not there, and this one sees by it that it is a child
    if mine is not None:
        mine.clear()


os.register_at_fork(after_in_child=_stop_in_child)


class Task:
    """Items of a job, which workers run in parts.

    It is in the pool's line once for each part, and whichever worker takes it runs the next one.

    Args:
        job: Its _take(place, results, errors) is called for each part.
        place: Of the first item in the job.
        chunk: Items of a part.
    """

    __slots__ = ("chunk", "function", "items", "job", "parts", "place", "starts")

    def __init__(
        self, job: Any, place: int, function: Callable[[Any], Any], items: Any, chunk: int
    ) -> None:
        self.job = job
        self.place = place
        self.function = function
        self.items = items
        self.chunk = chunk
        starts = range(0, len(items), chunk)
        self.parts = len(starts)
        self.starts = iter(starts)

    def run_next(self, shared: Shared) -> None:
        """Run a part in this thread; once the pool is terminated, nothing comes of it."""
        start = next(self.starts)
        items = self.items[start : start + self.chunk]
        if type(items) is not list:
            items = list(items)
        results: list[Any] = []
        errors: dict[int, BaseException] = {}
        me = _thread.get_ident()
        _running[me] = items
        if not shared.terminated:  # looked at after that line, so that end() finds the items
            _run(self.function, items, results, errors)
        if _running.pop(me, None) is None:
            # The function has forked this process, and it came out of it.
            ending.end_forked(errors.get(len(results) - 1))
        if not shared.terminated:
            self.job._take(self.place + start, results, errors)


def _run(
    function: Callable[[Any], Any],
    items: list[Any],
    results: list[Any],
    errors: dict[int, BaseException],
) -> None:
    """Add function(item) of each; where it raises, None, and what it has raised to the errors."""
    add = results.append
    for item in items:
        try:
            add(function(item))
        except BaseException as error:  # SystemExit too: the worker lives on
            # What is above the function in the traceback is ours.
            trace = error.__traceback__
            BaseException.with_traceback(error, trace and trace.tb_next)
            errors[len(results)] = error
            add(None)


class Shared:
    """What the threads of a pool have in common; they do not hold the pool itself.

    Signals' handlers and finalizers of garbage may use and end the pool, whatever they interrupt:
    so what they need are single steps on queues, dicts and sets, and no lock that they could find
    held by the frame below them.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.jobs: dict[int, Any] = {}  # without a result
        self.inputs: weakref.WeakSet[Input] = weakref.WeakSet()
        self.workers: list[Any] = []
        self.caller: threading.Thread | None = None  # of callbacks, once there were some
        self.closed = False
        self.terminated = False
        self.broken: BaseException | None = None
        self._numbers = itertools.count()
        # A None in it tells a worker to leave, who puts it back for the others.
        self._line: SimpleQueue[Task | None] = SimpleQueue()
        self._sources: set[object] = set()  # what may hand in more
        self._calls: SimpleQueue[tuple[Any, Callable[[Any], object], Any] | None] = SimpleQueue()
        # Held for moments. Reentrant: what is collected as garbage under it may end the pool.
        self._gate = threading.RLock()
        self._working = 0

    # --- what is handed in ---

    def number(self) -> int:
        return next(self._numbers)

    def enter(self, job: Any, source: object) -> None:
        """A job begins, and `source` hands in its tasks until dismiss(source).

        Raises:
            ValueError, BrokenProcessPool: The pool takes no more jobs.
        """
        # In this order, so that close() and end(), which look at them in the other one, know of
        # what has not seen that the pool is closed.
        self._sources.add(source)
        self.jobs[job._job] = job
        if self.closed:
            self.leave(job)
            self.dismiss(source)
            self.check_open()

    def leave(self, job: Any) -> None:
        self.jobs.pop(job._job, None)

    def check_open(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.closed:
            raise ValueError("Pool not running: it was closed or terminated; make a new one")

    def put(self, task: Task) -> None:
        """Put it in the line as a whole: no worker runs during this one call."""
        if not self.terminated:
            deque(map(self._line.put, itertools.repeat(task, task.parts)), maxlen=0)

    def dismiss(self, source: object = None) -> None:
        """Nothing more comes from there; workers leave when nothing comes from anywhere."""
        self._sources.discard(source)
        if self.closed and not self._sources:
            self._line.put(None)

    def submit(self, job: Any, task: Task) -> None:
        """Hand in a job of one task.

        Raises: As enter().
        """
        try:
            self.enter(job, task)
            self.put(task)
        except BaseException:  # a signal's handler may have raised
            self.leave(job)
            raise
        finally:
            self.dismiss(task)

    def qsize(self) -> int:
        """The parts of tasks that no worker has begun."""
        if self.terminated or (self.closed and not self._sources and not self.jobs):
            return 0
        return self._line.qsize()

    def empty(self) -> bool:
        return self.qsize() == 0

    # --- the end ---

    def close(self) -> None:
        self.closed = True
        self.dismiss()

    def end(self, error: BaseException) -> None:
        """Workers leave after the item that they run, and what has no result fails."""
        self.closed = self.terminated = True
        for source in list(self.inputs):
            source.stop()
        for worker in list(self.workers):
            if (items := _running.get(worker.ident)) is not None:
                items.clear()
        try:
            while True:
                self._line.get_nowait()
        except Empty:
            self._line.put(None)
        with self._gate:
            self._calls.put(None)
        for job in list(self.jobs.copy().values()):
            job._settle(None, error, call_back=False)

    def await_leaving(self, worker: threading.Thread) -> None:
        """Wait until a worker has left; once the pool is terminated, not for what it runs."""
        if not (self.terminated and worker.ident in _running):
            worker.join()

    # --- workers ---

    def work(self, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
        with self._gate:
            self._working += 1
        try:
            if initializer is not None and not self._initialize(initializer, initargs):
                return
            while (task := self._line.get()) is not None:
                task.run_next(self)
                del task  # what it refers to may go while this waits
            self._line.put(None)
        finally:
            with self._gate:
                self._working -= 1
                if self._working == 0:
                    self._calls.put(None)

    def _initialize(self, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> bool:
        try:
            initializer(*initargs)
        except BaseException as error:
            self._break(error)
            return False
        return True

    def _break(self, error: BaseException) -> None:
        name = threading.current_thread().name
        with self._gate:
            if self.broken is not None or self.terminated:
                return
            self.broken = _errors.BrokenProcessPool(
                f"the pool's initializer raised {error!r} in {name}; its traceback is on stderr"
            )
        sys.stderr.write(f"Thread {name}, in the pool's initializer:\n")
        traceback.print_exception(error)
        self.end(self.broken)

    # --- callbacks ---

    def call_back(self, job: Any, function: Callable[[Any], object], value: Any) -> None:
        """Have a thread call it, one after the other; then the job is finished."""
        with self._gate:
            if not self.terminated:
                self._calls.put((job, function, value))
                if self.caller is None:
                    caller = threading.Thread(
                        target=self._call, name="ThreadPool-callbacks", daemon=True
                    )
                    caller.start()
                    self.caller = caller
                return
        job._finish()

    def _call(self) -> None:
        while (call := self._calls.get()) is not None:
            job, function, value = call
            try:
                if not self.terminated:
                    function(value)
            except BaseException as error:  # SystemExit too: there are others' callbacks to run
                if os.getpid() != self.pid:
                    ending.end_forked(error)
                traceback.print_exc()
            finally:
                if os.getpid() != self.pid:
                    ending.end_forked(None)
                job._finish()
            del call, job, function, value


def terminated() -> BaseException:
    return _errors.PoolTerminated("the pool was terminated before this task had a result")


class Submitter:
    """Makes tasks of what an input has drawn.

    Whoever calls it may be interrupted by another caller, a signal's handler too, which then leaves
    it to do the work.
    """

    def __init__(
        self, shared: Shared, job: Any, function: Callable[[Any], Any], chunk: int
    ) -> None:
        self.job = job
        self._shared = shared
        self._function = function
        self._chunk = chunk
        self._is_last = self._is_called = False
        self._turn = _thread.allocate_lock()
        shared.enter(job, self)

    def __call__(self, items: list[Any], last: bool) -> None:
        self._is_last = self._is_last or last
        self._is_called = True
        while self._is_called and self._turn.acquire(False):
            try:
                self._is_called = False
                self._submit(items)
            finally:
                self._turn.release()

    def _submit(self, items: list[Any]) -> None:
        job = self.job
        count = len(items)
        if not self._is_last:
            count -= count % self._chunk
        if count > 0:
            task = Task(job, job._given, self._function, items[:count], self._chunk)
            try:
                self._shared.put(task)
            finally:  # a signal's handler may have raised
                job._given += count
                del items[:count]
        if self._is_last:
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; `error` is what the input has raised."""
        self.job._end_input(error)
        self._shared.dismiss(self)
