"""A member that is stopped inside a short section of a queue or pool keeps a lock of ours."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import forkful
import pytest
from helpers import await_condition, stat_of

LARGE = b"x" * 100_000


class Alarm(Exception):
    """What the signal's handler raises."""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """The main thread gets Alarm then, as it would get KeyboardInterrupt."""

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Ticks:
    """A thread that counts: it needs the interpreter's lock for that."""

    def __init__(self) -> None:
        self.count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.005):
            self.count += 1

    def __enter__(self) -> Ticks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def turn_over(queue: forkful.Queue, item: object, turns: object) -> None:
    while True:
        queue.put(item)
        queue.get()
        turns.value += 1


class Other:
    """A child that puts and gets, and is stopped somewhere."""

    def __init__(self, queue: forkful.Queue, item: object) -> None:
        self._turns = forkful.RawValue("Q", 0)
        self._process = forkful.Process(
            target=turn_over, args=(queue, item, self._turns), daemon=True
        )
        self._process.start()

    def stop(self) -> None:
        # A process that was continued may not have run yet, and would be where it was.
        before = self._turns.value
        await_condition(lambda: self._turns.value != before)
        os.kill(self._process.pid, signal.SIGSTOP)
        await_condition(lambda: stat_of(self._process.pid)[0] == "T")

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._process.kill()
        self._process.join()


# The thread that counts holds nothing that a forked child uses.
@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("item", [7, LARGE], ids=["small", "large"])
def test_a_member_stopped_inside_a_section_stops_neither_signals_nor_threads(item):
    queue = forkful.Queue()
    caught = 0
    with Ticks() as ticks, Other(queue, item) as other:
        for _ in range(3000):
            other.stop()
            before = ticks.count
            try:
                with interrupted_after(0.3):
                    queue.put(item)
                    queue.get()
            except Alarm:
                caught += 1
                assert ticks.count > before + 5
            other.go_on()
            if caught == 3:
                return
    pytest.fail("the child was hardly ever stopped while it had a lock")


@pytest.mark.parametrize("item", [7, LARGE], ids=["small", "large"])
def test_a_call_with_a_limit_ends_in_time_though_a_member_is_stopped_inside_a_section(item):
    queue = forkful.Queue()
    with Other(queue, item) as other:
        for _ in range(3000):
            other.stop()
            began = time.monotonic()
            try:
                queue.put(item, timeout=0.2)
                queue.get(timeout=0.2)  # the queue stays short, so that the child is mostly inside
            except (forkful.queues.Full, forkful.queues.Empty):
                assert time.monotonic() - began >= 0.2
                other.go_on()
                queue.put(item)
                return
            other.go_on()
    pytest.fail("the child was never stopped while it had a lock")
