"""What travels through a queue: objects of every kind, and forkful's own."""

from __future__ import annotations

import array
import collections
import ctypes
import datetime
import decimal
import enum
import fractions
import os
import re

import forkful
import pytest


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


def test_simple_queue_has_no_more_than_the_standard_one():
    import multiprocessing

    queue = forkful.SimpleQueue()
    standard = multiprocessing.SimpleQueue()
    names = {name for name in dir(queue) if not name.startswith("_")}
    assert names == {name for name in dir(standard) if not name.startswith("_")}
    assert not isinstance(queue, type(forkful.Queue()))
    for call in (lambda: queue.put(1, False), lambda: queue.get(True), lambda: queue.put()):
        with pytest.raises(TypeError):
            call()
    queue.put(obj=1)
    assert queue.get() == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_an_item_is_pickled_is_the_callers(error, capfd):
    class Stops:
        def __reduce__(self):
            raise error

    queue = forkful.Queue()
    with pytest.raises(error):
        queue.put(Stops())
    queue.put(1)
    assert queue.get(timeout=20) == 1
    assert capfd.readouterr().err == ""


class Looked(type):
    """Counts the looks at the attributes of its classes."""

    looks = 0

    @property
    def __dict__(cls):
        Looked.looks += 1
        if Looked.looks == 2:  # the first is __reduce_ex__()'s own
            raise KeyboardInterrupt
        return super().__dict__


class Interrupts(metaclass=Looked):
    pass


def test_an_interrupt_while_a_class_is_looked_at_is_the_callers():
    queue = forkful.SimpleQueue()
    with pytest.raises(KeyboardInterrupt):
        queue.put([Interrupts()])
    assert queue.empty()


def test_the_names_of_arguments_are_the_standard_ones():
    queue = forkful.Queue()
    queue.put(obj=1, block=True, timeout=None)
    queue.put_nowait(obj=2)
    assert [queue.get(block=True, timeout=20), queue.get_nowait()] == [1, 2]
    queue.put(3)
    queue.shutdown(immediate=True)
    with pytest.raises(forkful.ShutDown):
        queue.get()
