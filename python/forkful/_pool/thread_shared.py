"""What the threads of a pool have in common: the line of tasks, jobs, callbacks, and the end."""

from __future__ import annotations

import _thread
import itertools
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue

from forkful import _errors
from forkful._child import ending
from forkful._pool.inputs import Input, ThreadedInput

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DrawnByThread", "Shared", "Submitter", "Task", "terminated"]

# By a worker's thread, the iterator, of a list or a range, that gives it the items of its part.
_running: dict[int, Any] = {}


def _stop(items: Any) -> None:
    """Whoever iterates has the item that it has, and no more."""
    items.__setstate__(sys.maxsize)  # the place of the next


def _stop_in_child() -> None:
    """A function has forked: the child has not to run it on the other items."""
    mine = _running.get(_thread.get_ident())
    _running.clear()  # other threads are not there, and this one sees by it that it is a child
    if mine is not None:
        _stop(mine)


os.register_at_fork(after_in_child=_stop_in_child)


# Runs a whole iterator in one call, between whose steps no signal's handler and, as long as its
# steps run no Python, no other thread comes.
_run_out = deque[object](maxlen=0).extend


class Task:
    """Items of a job, which workers run in parts.

    It is in the pool's line once for each part, and whichever worker takes it runs the next one.

    Args:
        job: Its _take(place, results, errors) is called for each part.
        next_part: Gives items, as a list or a range, and the place of the first.
        star: An item is the function's arguments.
    """

    __slots__ = ("function", "job", "next_part", "star")

    def __init__(
        self,
        job: Any,
        function: Callable[[Any], Any],
        next_part: Callable[[], tuple[int, list[Any] | range]],
        star: bool = False,
    ) -> None:
        self.job = job
        self.function = function
        self.next_part = next_part
        self.star = star

    def run_next(self, shared: Shared, me: int) -> None:
        """Run a part in this thread, `me`; once the pool is terminated, nothing comes of it."""
        place, part = self.next_part()
        items = iter(part)
        function, star = self.function, self.star
        results: list[Any] = []
        add = results.append
        errors: dict[int, BaseException] = {}
        _running[me] = items
        if not shared.terminated:  # looked at after that line, so that end() finds the items
            for item in items:
                try:
                    add(function(*item) if star else function(item))
                except BaseException as error:  # SystemExit too: the worker lives on
                    # What is above the function in the traceback is ours.
                    trace = error.__traceback__
                    BaseException.with_traceback(error, trace and trace.tb_next)
                    errors[len(results)] = error
                    add(None)
        if _running.pop(me, None) is None:
            # The function has forked this process, and it came out of it.
            ending.end_forked(errors.get(len(results) - 1))
        if not shared.terminated:
            self.job._take(place, results, errors)


class Shared:
    """What the threads of a pool have in common; they do not hold the pool itself.

    Signals' handlers and finalizers of garbage may use and end the pool, whatever they interrupt:
    so what they need are single steps on queues, dicts and sets, and no lock that they could find
    held by the frame below them.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.jobs: dict[int, Any] = {}  # without a result
        self.workers: list[Any] = []
        self.caller: threading.Thread | None = None  # of callbacks, once there were some
        self.closed = False
        self.terminated = False
        self.broken: BaseException | None = None
        self._numbers = itertools.count()
        # A None in it tells a worker to leave, who puts it back for the others.
        self.line: SimpleQueue[Task | None] = SimpleQueue()
        self.sources: set[Task | Submitter] = set()  # what may hand in more
        self._calls: SimpleQueue[tuple[Any, Callable[[Any], object], Any] | None] = SimpleQueue()
        # Held for moments. Reentrant: what is collected as garbage under it may end the pool.
        self._gate = threading.RLock()
        self._working = 0

    # --- what is handed in ---

    def number(self) -> int:
        return next(self._numbers)

    def enter(self, job: Any, source: Task | Submitter) -> None:
        """A job begins, and `source` hands in its tasks as long as it is in `sources`.

        Where this raises, the caller takes both back.

        Raises:
            ValueError, BrokenProcessPool: The pool takes no more jobs.
        """
        # In this order, so that close() and end(), which look at them in the other one, know of
        # what has not seen that the pool is closed.
        self.sources.add(source)
        self.jobs[job._job] = job
        if self.closed:
            self.check_open()

    def leave(self, job: Any) -> None:
        self.jobs.pop(job._job, None)

    def check_open(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.closed:
            raise ValueError("Pool not running: it was closed or terminated; make a new one")

    def tickets(self, task: Task, parts: int) -> Iterator[None]:
        """Puts the task in the line so often, by what _run_out() takes."""
        return map(self.line.put, itertools.repeat(task, parts))

    def let_go(self) -> None:
        """Workers leave where the pool is closed and nothing more comes from anywhere."""
        if self.closed and not self.sources:
            self.line.put(None)

    def submit(self, job: Any, task: Task, parts: int) -> None:
        """Hand in a job of one task, as a whole: no worker begins before all of it is in the line.

        Raises: As enter().
        """
        tickets = self.tickets(task, parts)
        try:
            self.enter(job, task)
            _run_out(tickets)
        except BaseException:  # a signal's handler may have raised
            self.leave(job)
            raise
        finally:
            self.sources.discard(task)
            self.let_go()

    def qsize(self) -> int:
        """The parts of tasks that no worker has begun."""
        if self.terminated or (self.closed and not self.sources and not self.jobs):
            return 0
        return self.line.qsize()

    def empty(self) -> bool:
        return self.qsize() == 0

    # --- the end ---

    def close(self) -> None:
        self.closed = True
        for submitter in self.submitters():
            submitter.lift()
        self.let_go()

    def submitters(self) -> list[Submitter]:
        return [each for each in self.sources.copy() if isinstance(each, Submitter)]

    def end(self, error: BaseException) -> None:
        """Workers leave after the item that they run, and what has no result fails."""
        self.closed = self.terminated = True
        for submitter in self.submitters():
            submitter.stop()
        for worker in list(self.workers):
            if (items := _running.get(worker.ident)) is not None:
                _stop(items)
        try:
            while True:
                self.line.get_nowait()
        except Empty:
            self.line.put(None)
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
            me, take = _thread.get_ident(), self.line.get
            while (task := take()) is not None:
                task.run_next(self, me)
                del task  # what it refers to may go while this waits
            self.line.put(None)
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
        self._chunk = chunk
        self._parts: deque[tuple[int, list[Any]]] = deque()
        self._task = Task(job, function, self._parts.popleft)
        self.input: Input | None = None
        self._is_last = self._is_called = self._is_submitting = False
        self._turn = threading.RLock()

    def begin(self) -> None:
        """Enter the job.

        Raises: As Shared.enter().
        """
        self._shared.enter(self.job, self)

    def __call__(self, items: list[Any], last: bool) -> None:
        with self._turn:
            self._is_last = self._is_last or last
            self._is_called = True
            if self._is_submitting:
                return  # the frame below that this has interrupted goes on
            self._is_submitting = True
            try:
                while self._is_called:
                    self._is_called = False
                    self._submit(items)
            finally:
                self._is_submitting = False

    def _submit(self, items: list[Any]) -> None:
        chunk, job = self._chunk, self.job
        count = len(items)
        if not self._is_last:
            count -= count % chunk
        if count > 0:
            given = job._given
            if count <= chunk:
                parts = [(given, items[:count])]
            else:
                parts = [(given + at, items[at : at + chunk]) for at in range(0, count, chunk)]
            tickets = self._shared.tickets(self._task, len(parts))
            try:
                self._parts.extend(parts)
            finally:  # a signal's handler may have raised: all of this or nothing is done
                job._given += count
                del items[:count]
                _run_out(tickets)
        if self._is_last:
            self.end()

    def hand_in(self, items: Iterator[Any], parts: int, source: Input) -> bool:
        """Submit so many parts of a source, in its own thread, each as soon as it is drawn.

        Nobody else submits what it gives, and no signal's handler comes there.

        Returns:
            Whether there may be more.
        """
        job, chunk, task = self.job, self._chunk, self._task
        keep, put = self._parts.append, self._shared.line.put
        # The same for one item as for several, in less time.
        drawn: Iterator[list[Any]] = (
            map(list, zip(items)) if chunk == 1 else iter(lambda: list(islice(items, chunk)), [])
        )
        for part in islice(drawn, parts):
            place = job._given
            job._given = place + len(part)
            keep((place, part))
            put(task)
            parts -= 1
            if source.ended:
                return True
            if len(part) < chunk:
                break
        else:
            if parts == 0:
                return True
        self.end()
        return False

    def lift(self) -> None:
        """The pool closes: nothing holds the input back any longer."""
        if self.input is not None:
            self.input.lift()
        else:
            self.end()  # whoever made it was interrupted

    def stop(self) -> None:
        """The pool is terminated."""
        if self.input is not None:
            self.input.stop()

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; `error` is what the input has raised."""
        try:
            self.job._end_input(error)
        finally:
            self._shared.sources.discard(self)
            self._shared.let_go()


class DrawnByThread(ThreadedInput):
    """An input of a pool of threads that another thread draws."""

    def __init__(self, submitter: Submitter, items: Iterable[Any], chunk: int) -> None:
        super().__init__(submitter, items, chunk)
        self._submitter = submitter

    def _draw_tasks(self, count: int) -> None:
        if not self._submitter.hand_in(self._items, count, self):
            self.ended = True
