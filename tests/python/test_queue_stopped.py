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


def turn_over(queue: forkful.Queue, item: object) -> None:
    while True:
        queue.put(item)
        queue.get()


# The thread that counts holds nothing that a forked child uses.
@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("item", [7, LARGE], ids=["small", "large"])
def test_a_member_stopped_inside_a_section_stops_neither_signals_nor_threads(item):
    queue = forkful.Queue()
    with Ticks() as ticks:
        caught = tries = 0
        while caught < 3:
            tries += 1
            assert tries < 3000, "the child was never stopped while it had a lock"
            child = forkful.Process(target=turn_over, args=(queue, item), daemon=True)
            child.start()
            await_condition(lambda child=child: queue.qsize() or not child.is_alive())
            for _ in range(100):
                os.kill(child.pid, signal.SIGSTOP)
                await_condition(lambda child=child: stat_of(child.pid)[0] == "T")
                before = ticks.count
                try:
                    with interrupted_after(0.3):
                        queue.put(item)
                        queue.get()
                except Alarm:
                    caught += 1
                    assert ticks.count > before + 5
                    break
                os.kill(child.pid, signal.SIGCONT)
            os.kill(child.pid, signal.SIGCONT)
            child.kill()
            child.join()


def test_a_put_with_a_limit_ends_in_time_though_a_member_is_stopped_inside_put():
    queue = forkful.Queue()
    child = forkful.Process(target=turn_over, args=(queue, LARGE), daemon=True)
    child.start()
    for _ in range(3000):
        os.kill(child.pid, signal.SIGSTOP)
        await_condition(lambda: stat_of(child.pid)[0] == "T")
        began = time.monotonic()
        try:
            queue.put(LARGE, timeout=0.2)
        except forkful.queues.Full:
            assert time.monotonic() - began >= 0.2
            break
        os.kill(child.pid, signal.SIGCONT)
    else:
        pytest.fail("the child was never stopped while it had a lock")
    os.kill(child.pid, signal.SIGCONT)
    queue.put(LARGE)
    child.kill()
    child.join()
