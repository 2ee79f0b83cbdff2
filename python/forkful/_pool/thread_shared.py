"""What the threads of a pool have in common: tasks, jobs, callbacks, and the end."""

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
from queue import SimpleQueue

from forkful import _errors
from forkful._child import ending

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._pool.inputs import Input

__all__ = ["Shared", "Submitter", "Task", "terminated"]


class Task:
    """Items of a job. Workers take parts of it, as many items at a time as `chunk` says."""

    __slots__ = ("chunk", "function", "items", "job", "place", "taken")

    def __init__(
        self, job: Any, place: int, function: Callable[[Any], Any], items: Any, chunk: int
    ) -> None:
        self.job = job
        self.place = place  # of its first item
        self.function = function
        self.items = items
        self.chunk = chunk
        self.taken = 0  # items that workers have

    def parts_left(self) -> int:
        return -((self.taken - len(self.items)) // self.chunk)

    def run(self, start: int, shared: Shared) -> None:
        function, job = self.function, self.job
        items = self.items[start : start + self.chunk]
        for place, item in enumerate(items, self.place + start):
            if shared.terminated:
                return
            value, failure = None, None
            try:
                value = function(item)
            except BaseException as error:  # SystemExit too: the worker lives on
                failure = error
            if os.getpid() != shared.pid:
                ending.end_forked(failure)  # the function has forked it, and it came out of it
            if failure is not None:
                _cut(failure)
            job._set(place, value, failure)
            del item, value, failure
        job._task_ended()


def _cut(error: BaseException) -> None:
    # What is above the function in the traceback is ours.
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next or error.__traceback__


class Shared:
    """What the threads of a pool have in common; they do not hold the pool itself."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.jobs: dict[int, Any] = {}
        self.inputs: weakref.WeakSet[Input] = weakref.WeakSet()
        self.workers: list[Any] = []
        self.caller: threading.Thread | None = None  # of callbacks, once there were some
        self.terminated = False
        self._busy: set[threading.Thread] = set()  # those that have a part of a task
        self.broken: BaseException | None = None
        self._closed = False
        self._open_inputs = 0
        self._working = 0
        self._calls: SimpleQueue[tuple[Any, Callable[[Any], object], Any] | None] = SimpleQueue()
        self._numbers = itertools.count()
        # Held for moments. Reentrant: what is collected as garbage under it may end the pool.
        self._gate = threading.RLock()
        self._news = threading.Condition(self._gate)
        self._line: deque[Task] = deque()

    def enter(self, job: Any) -> int:
        number = next(self._numbers)
        self.jobs[number] = job
        return number

    def leave(self, number: int) -> None:
        self.jobs.pop(number, None)

    def put(self, task: Task) -> None:
        """Hand it in as a whole: whoever ends the pool at once finds none of it begun."""
        with self._gate:
            if not self.terminated:
                self._line.append(task)
                self._news.notify(task.parts_left())
                return
        task.job._settle(None, self.broken or terminated(), call_back=False)

    def qsize(self) -> int:
        """The parts of tasks that no worker has begun."""
        with self._gate:
            return sum(task.parts_left() for task in self._line)

    def empty(self) -> bool:
        return self.qsize() == 0

    def open_input(self) -> None:
        with self._gate:
            self._open_inputs += 1

    def close_input(self) -> None:
        with self._gate:
            self._open_inputs -= 1
            self._news.notify_all()

    def close(self) -> None:
        with self._gate:
            self._closed = True
            self._news.notify_all()

    # --- workers ---

    def work(self, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
        with self._gate:
            self._working += 1
        try:
            if initializer is not None and not self._initialize(initializer, initargs):
                return
            while (part := self._next()) is not None:
                part[0].run(part[1], self)
                del part  # what it refers to may go while this waits
        finally:
            with self._gate:
                self._working -= 1
                if self._working == 0:
                    self._calls.put(None)

    def _next(self) -> tuple[Task, int] | None:
        """A task, and the first of its items to run; None: there is nothing more to do."""
        me = threading.current_thread()
        with self._gate:
            self._busy.discard(me)
            while not self.terminated:
                if self._line:
                    task = self._line[0]
                    start = task.taken
                    task.taken += task.chunk
                    if task.taken >= len(task.items):
                        self._line.popleft()
                    self._busy.add(me)
                    return task, start
                if self._closed and self._open_inputs == 0:
                    return None
                self._news.wait()
        return None

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

    def end(self, error: BaseException) -> None:
        """Workers leave after what they run, and what has no result fails."""
        for source in list(self.inputs):
            source.stop()
        with self._gate:
            self.terminated = True
            self._line.clear()
            self._news.notify_all()
            self._calls.put(None)
        for job in list(self.jobs.copy().values()):
            job._settle(None, error, call_back=False)

    def await_leaving(self, worker: threading.Thread) -> None:
        """Wait until a worker has left; once the pool is terminated, not for what it runs."""
        with self._gate:
            if self.terminated and worker in self._busy:
                return
        worker.join()

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

    def __init__(self, shared: Shared, function: Callable[[Any], Any], chunk: int) -> None:
        self.job: Any = None
        self._shared = shared
        self._function = function
        self._chunk = chunk
        self._is_last = self._is_called = self._has_ended = False
        self._turn = _thread.allocate_lock()
        shared.open_input()

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
        while len(items) >= self._chunk or (self._is_last and items):
            part = items[: self._chunk]
            del items[: self._chunk]
            place = job._given
            job._given += len(part)
            self._shared.put(Task(job, place, self._function, part, self._chunk))
        if self._is_last:
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; `error` is what the input has raised."""
        if not self._has_ended:
            self._has_ended = True
            self.job._end_input(error)
            self._shared.close_input()
