"""A member that is stopped inside a short section of the engine keeps a lock of ours."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import forkful
import pytest
from alarms import Alarm
from helpers import await_condition, stat_of

LARGE = b"x" * 100_000


class Rung(Exception):
    """What the signal's handler raises."""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """The main thread gets Rung then, as it would get KeyboardInterrupt."""

    def ring() -> None:
        raise Rung

    with Alarm() as alarm:
        alarm.after(seconds, ring)
        yield


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


def turn_over_until_shut_down(queue: forkful.Queue, turns: object) -> None:
    with suppress(forkful.ShutDown):
        turn_over(queue, 7, turns)


def make_and_drop(turns: object) -> None:
    while True:
        forkful.Event()
        turns.value += 1


class Other:
    """A child that repeats something for ever, and is stopped somewhere in it."""

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        self._turns = forkful.RawValue("Q", 0)
        self._process = forkful.Process(target=target, args=(*args, self._turns), daemon=True)
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
    with Ticks() as ticks, Other(turn_over, queue, item) as other:
        for _ in range(3000):
            other.stop()
            before = ticks.count
            try:
                with interrupted_after(0.3):
                    queue.put(item)
                    queue.get()
            except Rung:
                caught += 1
                assert ticks.count > before + 5
            other.go_on()
            if caught == 3:
                return
    pytest.fail("the child was hardly ever stopped while it had a lock")


@pytest.mark.parametrize("item", [7, LARGE], ids=["small", "large"])
def test_a_call_with_a_limit_ends_in_time_though_a_member_is_stopped_inside_a_section(item):
    queue = forkful.Queue()
    with Other(turn_over, queue, item) as other:
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


def test_a_shutdown_that_waits_for_a_stopped_member_is_left_by_what_a_handler_raises():
    for _ in range(3000):
        queue = forkful.Queue()
        with Other(turn_over_until_shut_down, queue) as other:
            other.stop()
            try:
                with interrupted_after(0.3):
                    queue.shutdown(immediate=True)
            except Rung:
                return
    pytest.fail("the child was never stopped while it had a lock")


def assert_unset(event: forkful.synchronize.Event) -> None:
    assert not event.is_set()


def start_and_join() -> None:
    process = forkful.Process(target=assert_unset, args=(forkful.Event(),))
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()


def make_share_and_drop() -> None:
    lock = forkful.Lock()
    queue = forkful.SimpleQueue()
    queue.put(lock)  # in a parcel
    assert queue.get().acquire()
    assert not lock.acquire(block=False)


def make_a_value() -> None:
    assert forkful.Value("i", 7).value == 7


class Continuer(Ticks):
    """Continues a stopped process after some ticks, for which it needs the interpreter's lock."""

    def __init__(self, other: Other) -> None:
        super().__init__()
        self._other = other
        self.due: int | None = None

    def _run(self) -> None:
        while not self._over.wait(0.005):
            self.count += 1
            if self.due is not None and self.count >= self.due:
                self.due = None
                self._other.go_on()


@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("call", [start_and_join, make_share_and_drop, make_a_value])
def test_a_call_that_waits_for_a_stopped_member_leaves_the_interpreter_to_the_threads(call):
    waited = 0
    with Other(make_and_drop) as other, Continuer(other) as continuer:
        for _ in range(3000):
            other.stop()
            continuer.due = due = continuer.count + 20
            call()
            waited += continuer.count >= due
            await_condition(lambda: continuer.due is None)
            if waited == 3:
                return
    pytest.fail("the child was hardly ever stopped while it had a lock")


@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
def test_a_start_that_waits_for_a_stopped_member_is_left_by_what_a_handler_raises():
    caught = 0
    with Other(make_and_drop) as other:
        for _ in range(3000):
            other.stop()
            process = forkful.Process(target=abs, args=(1,))
            try:
                with interrupted_after(0.3):
                    process.start()
            except Rung:
                caught += 1
                assert process.pid is None
                other.go_on()
                process = forkful.Process(target=abs, args=(1,))
                process.start()
            other.go_on()
            process.join()
            assert process.exitcode == 0
            if caught == 3:
                return
    pytest.fail("the child was hardly ever stopped while it had a lock")
