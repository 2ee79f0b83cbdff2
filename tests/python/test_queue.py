"""Queue: order, bounds, time limits, and what can travel through it."""

from __future__ import annotations

import array
import collections
import ctypes
import datetime
import decimal
import enum
import fractions
import os
import queue as standard_queue
import re
import threading
import time

import forkful
import pytest
from helpers import await_condition, is_asleep


def test_items_come_in_the_order_they_were_put():
    queue = forkful.Queue()
    for i in range(5000):
        queue.put(i)
    assert queue.qsize() == 5000
    assert [queue.get() for _ in range(5000)] == list(range(5000))
    assert queue.empty()


def produce(queue, who, count):
    for i in range(count):
        queue.put((who, i))


def consume(queue, results):
    seen = []
    while (item := queue.get()) is not None:
        seen.append(item)
    results.put(seen)


@pytest.mark.parametrize("maxsize", [0, 7])
def test_producers_and_consumers_lose_and_repeat_nothing(maxsize):
    queue, results = forkful.Queue(maxsize), forkful.Queue()
    producers = [forkful.Process(target=produce, args=(queue, who, 1000)) for who in range(3)]
    consumers = [forkful.Process(target=consume, args=(queue, results)) for _ in range(3)]
    for process in producers + consumers:
        process.start()
    for process in producers:
        process.join()
    for _ in consumers:
        queue.put(None)
    seen = [results.get(timeout=20) for _ in consumers]
    for process in consumers:
        process.join()
    assert sorted(item for items in seen for item in items) == [
        (who, i) for who in range(3) for i in range(1000)
    ]
    for items in seen:
        for who in range(3):
            of_one = [i for w, i in items if w == who]
            assert of_one == sorted(of_one)


def test_threads_share_a_queue():
    queue, results = forkful.Queue(3), forkful.Queue()
    threads = [threading.Thread(target=produce, args=(queue, who, 200)) for who in range(3)]
    threads += [threading.Thread(target=consume, args=(queue, results)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads[:3]:
        thread.join()
    for _ in range(2):
        queue.put(None)
    for thread in threads[3:]:
        thread.join()
    assert sum(len(results.get(timeout=5)) for _ in range(2)) == 600


def test_a_bounded_queue_is_full_and_empty_again():
    queue = forkful.Queue(maxsize=2)
    assert (queue.empty(), queue.full(), queue.qsize()) == (True, False, 0)
    queue.put(1)
    queue.put(2, True, 1)
    assert (queue.empty(), queue.full(), queue.qsize()) == (False, True, 2)
    for refused in (
        lambda: queue.put_nowait(3),
        lambda: queue.put(3, False),
        lambda: queue.put(3, block=False),
        lambda: queue.put(3, timeout=0.01),
        lambda: queue.put(3, True, 0),
        lambda: queue.put(obj=3, block=True, timeout=-1),
    ):
        with pytest.raises(standard_queue.Full):
            refused()
    assert queue.get(True, 1) == 1
    queue.put(3)
    assert [queue.get_nowait(), queue.get(False)] == [2, 3]
    for refused in (
        queue.get_nowait,
        lambda: queue.get(False),
        lambda: queue.get(block=False),
        lambda: queue.get(timeout=0.01),
        lambda: queue.get(True, 0.0),
    ):
        with pytest.raises(standard_queue.Empty):
            refused()


def test_time_limits_are_kept():
    queue = forkful.Queue(1)
    for wait, error in (
        (lambda: queue.get(timeout=0.1), standard_queue.Empty),
        (lambda: queue.put(1, timeout=0.1), standard_queue.Full),
    ):
        began = time.monotonic()
        with pytest.raises(error):
            wait()
        assert 0.09 < time.monotonic() - began < 3
        queue.put(1) if queue.empty() else None


def test_a_blocked_put_goes_on_when_there_is_room():
    queue = forkful.Queue(1)
    queue.put(0)
    child = forkful.Process(target=queue.put, args=(1,))
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    assert queue.qsize() == 1
    assert queue.get() == 0
    assert queue.get(timeout=5) == 1
    child.join()


def test_join_before_get_is_safe_at_any_size():
    for sizes in ([10_000_000], [100] * 100_000):
        queue = forkful.Queue()
        child = forkful.Process(
            target=lambda q, sizes: [q.put(b"x" * n) for n in sizes], args=(queue, sizes)
        )
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert [len(queue.get()) for _ in sizes] == sizes


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


class Thing:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value


class Text(str):
    __slots__ = ()


OBJECTS = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    10**100,
    0.0,
    float("inf"),
    1 + 2j,
    "",
    "plain",
    "ümläut ☃ 🐍",
    "\ud800",
    "nul\0inside",
    "x" * 3072,
    "x" * 3073,
    "é" * 1600,
    b"",
    b"bytes\0",
    b"b" * 3073,
    b"B" * 100_000,
    bytearray(b"abc"),
    (),
    (1, ("two", (3.0, (None, (b"five", (6,)))))),
    tuple(range(16)),
    tuple(range(17)),
    tuple("x" * 3000 for _ in range(16)),
    (1, [2], {3: 4}),
    [],
    [1, [2, [3]]],
    {"a": {"b": [1, 2]}},
    {1, 2},
    frozenset({1}),
    range(5),
    slice(1, 2),
    ...,
    NotImplemented,
    int,
    len,
    os.getcwd,
    Colour.RED,
    Point(1, 2),
    Thing([1]),
    Text("subclass"),
    collections.OrderedDict(a=1),
    collections.deque([1, 2], 3),
    array.array("d", [1.5]),
    datetime.datetime(2020, 2, 29, tzinfo=datetime.UTC),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    re.compile("a+"),
    ctypes.c_int(3).value,
]


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: f"{type(item).__name__}-{item!r:.20}")
def test_every_kind_of_object_arrives_as_it_was(item):
    queue = forkful.Queue()
    queue.put(item)
    got = queue.get(timeout=5)
    assert type(got) is type(item)
    assert got == item
    assert queue.empty()


def test_a_nan_and_an_exception_arrive():
    queue = forkful.Queue()
    queue.put(float("nan"))
    queue.put(OSError(2, "gone", "file"))
    nan, error = queue.get(), queue.get()
    assert nan != nan
    assert (type(error), error.errno, error.filename) == (FileNotFoundError, 2, "file")


def test_one_object_twice_in_an_item_stays_one():
    queue = forkful.Queue()
    shared: list[int] = []
    queue.put([shared, shared])
    first, second = queue.get()
    assert first is second


def echo(queue):
    inner = queue.get()
    inner.put(("answer", inner.get()))


def test_a_queue_travels_through_a_queue():
    outer, inner = forkful.Queue(), forkful.Queue()
    child = forkful.Process(target=echo, args=(outer,))
    child.start()
    inner.put("question")
    outer.put(inner)
    child.join()
    assert inner.get(timeout=5) == ("answer", "question")


def test_a_queue_that_only_a_message_holds_lives_on():
    outer, inner = forkful.Queue(), forkful.Queue()
    inner.put("kept")
    outer.put(inner)
    del inner
    assert outer.get().get(timeout=5) == "kept"


def test_locks_values_and_events_travel_too():
    queue = forkful.Queue()
    things = [
        forkful.Lock(),
        forkful.RLock(),
        forkful.Semaphore(3),
        forkful.Event(),
        forkful.Value("i", 5),
    ]
    queue.put(things)
    lock, rlock, semaphore, event, value = queue.get()
    lock.acquire()
    assert not things[0].acquire(False)
    assert semaphore.acquire()
    assert things[2].get_value() == 2
    event.set()
    assert things[3].is_set()
    with value.get_lock():
        value.value += 1
    assert things[4].value == 6
    assert type(rlock) is type(things[1])


def test_simple_queue_has_put_get_and_empty():
    queue = forkful.SimpleQueue()
    assert queue.empty()
    queue.put([1])
    child = forkful.Process(target=lambda: queue.put(queue.get() + [2]))
    child.start()
    child.join()
    assert queue.get() == [1, 2]
    queue.close()
