"""Calls that come in while their own thread is inside one: from a signal's handler, from an object
that is being pickled or unpickled, from a finalizer. Each gets its answer."""

from __future__ import annotations

import gc
import os
import queue as standard_queue
import signal
import threading
from contextlib import contextmanager, suppress

import forkful
import pytest
from helpers import await_condition, is_asleep

Empty, Full = standard_queue.Empty, standard_queue.Full
HANDLERS = 300


class Tools:
    """One of each, and a visit that uses all of them without waiting for long."""

    def __init__(self):
        self.queue = forkful.Queue()
        self.bounded = forkful.Queue(2)
        self.lock = forkful.Lock()
        self.rlock = forkful.RLock()
        self.semaphore = forkful.Semaphore(2)
        self.few = forkful.BoundedSemaphore(1)
        self.event = forkful.Event()
        self.value = forkful.Value("i", 0)
        self.condition = forkful.Condition()
        self.barrier = forkful.Barrier(1)
        self.joinable = forkful.JoinableQueue()
        self.visits = 0

    def visit(self, *_):
        self.visits += 1
        self.queue.put(self.visits)
        with suppress(Empty):
            self.queue.get_nowait()
        try:
            self.bounded.put_nowait(0)
        except Full:
            with suppress(Empty):
                self.bounded.get(timeout=0.001)
        for lock in (self.lock, self.semaphore, self.few):
            if lock.acquire(False):
                lock.release()
        with self.rlock, self.value.get_lock():
            self.value.value += 1
            self.value.value -= 1
        self.event.set()
        assert self.event.wait(1)
        self.event.clear()
        with self.condition:
            self.condition.wait(0.0001)
            self.condition.notify_all()
        assert self.barrier.wait(1) == 0
        self.joinable.put(0)
        self.joinable.get()
        self.joinable.task_done()
        forkful.Queue(), forkful.Lock(), forkful.Value("d")

    def assert_whole(self):
        assert not self.lock.locked()
        assert not self.rlock.locked()
        assert not self.condition._lock.locked()
        assert self.condition._waiters() == 0
        self.joinable.join()
        assert (self.semaphore.get_value(), self.few.get_value()) == (2, 1)


@contextmanager
def handled(handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def storm(handler):
    """Two thousand signals a second."""
    over = threading.Event()

    def send():
        while not over.wait(0.0005):
            os.kill(os.getpid(), signal.SIGUSR1)

    with handled(handler):
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def signal_in_a_wait():
    """A signal once the main thread sleeps."""

    def send():
        await_condition(lambda: is_asleep(os.getpid()))
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def use_queues(tools):
    tools.queue.put(("x", 1))
    with suppress(Empty):
        tools.queue.get(timeout=0.002)
    with suppress(Full):
        tools.bounded.put(0, timeout=0.002)
    with suppress(Empty):
        tools.bounded.get(timeout=0.002)
    with suppress(Empty):
        tools.queue.get_nowait()


def use_locks(tools):
    with tools.lock:
        tools.lock.acquire(timeout=0.001)  # held by itself: a wait that a handler comes into
    with tools.rlock, tools.rlock:
        pass
    if tools.few.acquire(timeout=0.002):
        tools.few.acquire(timeout=0.001)
        tools.few.release()
    tools.event.wait(0.002)


def use_meeting_places(tools):
    with tools.condition, tools.condition:
        tools.condition.wait(0.002)
        tools.condition.notify()
        tools.condition.wait_for(lambda: tools.visits % 2, 0.001)
    tools.barrier.wait()
    tools.joinable.put(1)
    assert tools.joinable.get(timeout=1) in (0, 1)
    tools.joinable.task_done()


def use_values(tools):
    for _ in range(100):
        with tools.value.get_lock():
            tools.value.value += 1
            tools.value.value -= 1


@pytest.mark.parametrize("use", [use_queues, use_locks, use_meeting_places, use_values])
def test_handlers_call_in_at_any_time(use):
    tools = Tools()
    with storm(tools.visit):
        while tools.visits < HANDLERS:
            use(tools)
    tools.assert_whole()
    assert tools.value.value == 0


class Interruption(Exception):
    pass


@pytest.mark.parametrize("wait", ["lock", "queue", "event", "condition", "join"])
def test_a_handler_that_raises_loses_no_lock(wait):
    tools = Tools()
    condition = forkful.Condition(tools.lock)
    unfinished = forkful.JoinableQueue()
    unfinished.put(1)
    waits = {
        "lock": tools.lock.acquire,
        "queue": tools.bounded.get,
        "event": tools.event.wait,
        "condition": condition.wait,
        "join": unfinished.join,
    }

    def handler(*_):
        raise Interruption

    with handled(handler):
        for _ in range(20):
            with pytest.raises(Interruption), tools.lock, signal_in_a_wait():
                waits[wait]()
            assert not tools.lock.locked()
    tools.assert_whole()


@pytest.mark.parametrize("kind", [forkful.Semaphore, forkful.BoundedSemaphore])
def test_a_handler_that_releases_and_raises_leaves_the_permit(kind):
    semaphore = kind(1)
    semaphore.acquire()

    def handler(*_):
        semaphore.release()
        raise Interruption

    with handled(handler), pytest.raises(Interruption), signal_in_a_wait():
        semaphore.acquire()
    assert semaphore.get_value() == 1


def test_a_handler_that_puts_or_gets_ends_the_wait_below_it():
    queue, bounded = forkful.Queue(), forkful.Queue(1)
    bounded.put("first")

    def handler(*_):
        queue.put(bounded.get())

    with handled(handler):
        with signal_in_a_wait():
            assert queue.get() == "first"
        bounded.put("second")
        with signal_in_a_wait():
            bounded.put("third")
        assert (queue.get(), bounded.get()) == ("second", "third")


class Interrupting:
    """Has this process interrupted while it is pickled."""

    def __reduce__(self):
        signal.raise_signal(signal.SIGUSR1)
        return int, (7,)


class Unwilling:
    def __reduce__(self):
        raise Interruption("the item's own")


def made_queues():
    return [forkful.Queue(), forkful.Queue(strict=True), forkful.SimpleQueue(), forkful.Queue(3)]


@pytest.mark.parametrize("queue", range(4))
def test_what_a_handler_raises_while_an_item_is_pickled_is_the_callers(queue, capfd):
    queue = made_queues()[queue]

    def handler(*_):
        raise Interruption("the handler's")

    with handled(handler), pytest.raises(Interruption, match="the handler's") as raised:
        queue.put(Interrupting())
    assert not hasattr(raised.value, "__notes__")
    queue.put("next")
    assert queue.get() == "next"
    assert capfd.readouterr().err == ""


def test_what_an_item_raises_while_it_is_pickled_costs_that_item(capfd):
    queue = forkful.Queue()
    queue.put(Unwilling())
    queue.put("next")
    assert queue.get() == "next"
    assert "has dropped an item" in capfd.readouterr().err
    with pytest.raises(Interruption, match="the item's own"):
        forkful.SimpleQueue().put(Unwilling())


TOOLS = Tools()


class Travelling:
    """Calls in while it is pickled, while it is unpickled and when it dies."""

    def __reduce__(self):
        TOOLS.visit()
        return arrive, ()

    def __del__(self):
        TOOLS.visit()


def arrive():
    TOOLS.visit()
    return Travelling()


def test_objects_call_in_while_they_travel():
    queue, bounded = forkful.Queue(), forkful.Queue(1)
    for channel in (queue, bounded, TOOLS.queue):
        for _ in range(20):
            channel.put([Travelling(), Travelling()])
            channel.get()
    gc.collect()
    assert TOOLS.visits > 100
    TOOLS.assert_whole()
