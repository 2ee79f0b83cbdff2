"""The input of imap(), drawn a bounded distance ahead of what was consumed."""

from __future__ import annotations

import _thread
import _weakref
import sys
from _collections_abc import Callable, Iterable, Iterator
from itertools import islice

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Input", "ThreadedInput"]

_TASKS_AHEAD = 1024


class Input:
    """The input of an imap, drawn a bounded distance ahead of what was consumed.

    A signal's handler, and another thread, may call it while it draws, and a handler may raise:
    what was drawn is in one list, from which the pool takes it in its order, whoever calls.

    Args:
        submit: submit(items, last): takes the items out of the list, as far as it gets.
        items: A list, tuple or range; what else can be iterated is for ThreadedInput.
        chunk: Items of a task.
    """

    def __init__(self, submit: Callable[[list[Any], bool], None], items: Iterable[Any], chunk: int):
        self._submit = submit
        self._items: Iterator[Any] = iter(items)
        self._drawn: list[Any] = []
        self._step = chunk
        self.bound = _TASKS_AHEAD * chunk
        self.ended = False

    def draw(self, count: int) -> None:
        """Submit about `count` more items."""
        count = max(self._step, count - count % self._step)
        # In one call, so that no handler comes between an item and the list.
        self._drawn.extend(islice(self._items, count))
        self._hand_in(self._items.__length_hint__() == 0)  # type: ignore[attr-defined]

    def _hand_in(self, last: bool) -> None:
        self._submit(self._drawn, last)
        self.ended = self.ended or last

    def lift(self) -> None:
        """The pool closes: nothing holds the input back any longer."""
        self.draw(self.bound)
        while not self.ended:
            self.draw(self.bound)

    def stop(self) -> None:
        """The pool is terminated."""
        self.ended = True


class ThreadedInput(Input):
    """An input whose next() may take its time, drawn by a thread."""

    def __init__(self, submit: Callable[[list[Any], bool], None], items: Iterable[Any], chunk: int):
        super().__init__(submit, items, chunk)
        self._draw_all = False
        # Why no Event: that has a lock of Python's, which a signal's handler that closes the pool
        # might find held by the frame that it interrupts. Released is "there may be room".
        self._room = _thread.allocate_lock()
        self._room.acquire()

    def start(self, job: Any, fail: Callable[[BaseException], None]) -> None:
        """Draw in a thread from now on; it ends with the input, or when that is stopped."""
        self._job = _weakref.ref(job)
        self._fail = fail
        # Why not a Thread: its start() is in pieces, and a signal's handler that raises in between
        # leaves a thread that cannot run.
        _thread.start_new_thread(self._run, ())

    def draw(self, count: int) -> None:
        """Submit `count` items; in its thread only."""
        self._drawn.extend(islice(self._items, count))
        self._hand_in(len(self._drawn) < count)

    def _draw_tasks(self, count: int) -> None:
        # One at a time: an input may be slow, and what it gave should run meanwhile.
        for _ in range(count):
            if self.ended:
                return
            self.draw(self._step)

    def wanted(self) -> None:
        """The consumer has come near the end of what was drawn."""
        try:
            self._room.release()
        except RuntimeError:
            pass  # it has been told already

    def lift(self) -> None:
        self._draw_all = True
        self.wanted()

    def stop(self) -> None:
        self.ended = True
        self.wanted()

    def _run(self) -> None:
        # The input is the program's code, which its debugger and its coverage want to see.
        threading = sys.modules.get("threading")
        if threading is not None:
            sys.settrace(threading.gettrace())
            sys.setprofile(threading.getprofile())
        try:
            while not self.ended:
                job = self._job()
                ahead = job._ahead if job is not None else 0
                del job
                if self._draw_all:
                    ahead = 0
                if ahead >= self.bound:
                    self._room.acquire()
                else:
                    self._draw_tasks((self.bound - ahead) // self._step or 1)
        except BaseException as error:  # whatever it is, it belongs to the job
            if not self.ended:
                self.ended = True
                self._fail(error)
