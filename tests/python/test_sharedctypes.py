"""sharedctypes: structures, strings, arrays as values, locks, subclasses, private names."""

from __future__ import annotations

import copy
import ctypes
import pickle

import forkful
import pytest
from alarms import Alarm
from forkful import _core, heap, sharedctypes
from forkful.context import BaseContext
from helpers import kill_self


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Segment(ctypes.Structure):
    _fields_ = (("ends", Point * 2), ("name", ctypes.c_char * 8), ("flags", ctypes.c_uint8, 3))


class Number(ctypes.Union):
    _fields_ = (("whole", ctypes.c_int64), ("bytes", ctypes.c_ubyte * 8))


class Network(ctypes.BigEndianStructure):
    _fields_ = (("port", ctypes.c_uint16),)


class Flag(ctypes.c_bool):
    pass


def through(value):
    queue = forkful.SimpleQueue()
    queue.put(value)
    return queue.get()


def double(x, y, truth, point, numbers, text):
    x.value *= 2
    y.value *= 2
    truth.value = not truth.value
    point.x *= 2
    point.y *= 2
    text.value *= 2
    for i in range(len(numbers)):
        numbers[i] *= 2


@pytest.mark.parametrize("lock", [True, False])
def test_all_kinds_are_shared(context, lock):
    x, y = context.Value("i", 7, lock=lock), context.Value(ctypes.c_double, 0.5, lock=lock)
    truth = context.Value(ctypes.c_bool, False, lock=lock)
    point = context.Value(Point, 3, 2, lock=lock)
    numbers = context.Array("d", range(10), lock=lock)
    text = context.Array("c", 20, lock=lock)
    text.value = b"hello"
    child = context.Process(target=double, args=(x, y, truth, point, numbers, text))
    child.start()
    child.join()
    assert (x.value, y.value, truth.value) == (14, 1.0, True)
    assert (point.x, point.y) == (6, 4.0)
    assert numbers[:] == [2.0 * i for i in range(10)]
    assert text.value == b"hellohello"


@pytest.mark.parametrize("lock", [True, False])
def test_values_may_be_arrays(lock):
    numbers = forkful.Value(ctypes.c_int * 3, 1, 2, lock=lock)
    assert numbers[:] == [1, 2, 0]
    text = forkful.Value(ctypes.c_char * 6, b"a", b"b", lock=lock)
    assert (text.value, text.raw) == (b"ab", b"ab\0\0\0\0")
    if lock:
        assert isinstance(numbers, sharedctypes.SynchronizedArray)
        assert isinstance(text, sharedctypes.SynchronizedString)
    with pytest.raises((IndexError, TypeError)):
        forkful.Value(ctypes.c_int * 1, 1, 2, lock=lock)


def test_a_string_has_its_value_and_its_raw_bytes():
    text = forkful.Array("c", b"hello")
    assert (text.value, text.raw, text[:], len(text), text[1]) == (
        b"hello",
        b"hello",
        b"hello",
        5,
        b"e",
    )
    text.value = b"hi"
    assert (text.value, text.raw, text[1:4]) == (b"hi", b"hi\0lo", b"i\0l")
    text.raw = b"abcde"
    text[0], text[1], text[2:] = b"A", 66, bytearray(b"CDE")
    assert text.value == b"ABCDE"
    with pytest.raises(ValueError, match="too long"):
        text.value = b"too long"
    for wrong in (b"xy", "x", 256, -1):
        with pytest.raises(TypeError):
            text[0] = wrong
    wide = forkful.Array("u", "añ☃")
    assert (wide[:], wide[2], list(wide)) == ("añ☃", "☃", ["a", "ñ", "☃"])
    wide[1] = "n"
    assert wide[:2] == "an"


def test_structures_have_a_property_for_each_field():
    segment = forkful.Value(Segment)
    assert isinstance(segment, sharedctypes.SynchronizedBase)
    assert type(segment).__name__ == "SynchronizedSegment"
    assert type(forkful.Value(Segment)) is type(segment)
    segment.ends[1].y = 2.5
    segment.name = b"abc"
    segment.flags = 5
    twin = through(segment)
    assert (twin.ends[1].y, twin.name, twin.flags) == (2.5, b"abc", 5)
    twin.get_obj().ends[0] = (7, 8)
    assert segment.ends[0].x == 7
    number = forkful.Value(Number, 513)
    assert (number.whole, number.bytes[:3]) == (513, [1, 2, 0])
    assert memoryview(forkful.Value(Network, 258).get_obj()).tobytes() == b"\1\2"


def test_arrays_of_structures():
    points = forkful.Array(Point, [(1, 2.5), (3, 4.5)])
    assert [(each.x, each.y) for each in points] == [(1, 2.5), (3, 4.5)]
    points[0] = Point(5, 6)
    points[1].x = 9
    twin = through(points)
    assert [(each.x, each.y) for each in twin[0:2]] == [(5, 6), (9, 4.5)]
    assert type(points[0]) is Point
    with pytest.raises(IndexError):
        points[2]
    with pytest.raises(TypeError):
        points[0] = "no point"
    assert points.get_lock().locked() is False
    zeros = forkful.RawArray(Segment, 3)
    assert [each.ends[0].x for each in zeros] == [0, 0, 0]
    assert through(points[0]).x == 5  # an element by itself is copied


def test_a_type_derived_from_a_simple_one_keeps_its_objects():
    flags = forkful.Array(Flag, 2)
    assert type(flags[0]) is Flag
    flags[1] = Flag(True)
    assert flags[1].value is True
    value = forkful.Value(Flag, True)
    assert type(value.get_obj()) is Flag
    assert value.value is True
    assert through(value).value is True


def test_types_without_a_name_travel():
    pointer = ctypes.POINTER(ctypes.c_int)
    for kind in (ctypes.c_int.__ctype_be__, pointer, pointer * 2, ctypes.c_int * 3 * 2, Network):
        raw = forkful.RawValue(kind)
        for made in (raw, sharedctypes.synchronized(raw)):
            twin = through(made)
            assert type(twin) is type(made)
        assert type(through(raw)) is kind


def test_synchronized_puts_a_lock_around_what_there_is():
    raw = forkful.RawValue("i", 3)
    lock = forkful.Lock()
    value = sharedctypes.synchronized(raw, lock)
    assert value.get_lock() is lock
    assert value.get_obj() is raw
    value.value += 1
    assert raw.value == 4
    assert through(value).get_obj().value == 4
    own = sharedctypes.synchronized(ctypes.c_double(2.5))
    assert own.value == 2.5
    assert repr(own) == "<Synchronized wrapper for c_double(2.5)>"
    assert sharedctypes.synchronized((ctypes.c_int * 2)(1, 2))[:] == [1, 2]
    assert sharedctypes.synchronized(Point(1, 2)).y == 2
    assert sharedctypes.synchronized(Point(1, 2), ctx=forkful.get_context("fork")).x == 1
    with pytest.raises(AssertionError, match="already synchronized"):
        sharedctypes.synchronized(value)


def test_copies_are_other_memory():
    for made, change in (
        (forkful.RawValue("i", 3), lambda obj: setattr(obj, "value", 4)),
        (Point(3, 4), lambda obj: setattr(obj, "x", 4)),
        (forkful.RawArray("i", [3, 4]), lambda obj: obj.__setitem__(0, 4)),
    ):
        twin = sharedctypes.copy(made)
        assert bytes(twin) == bytes(made)
        assert type(twin) is type(made)
        change(made)
        assert bytes(twin) != bytes(made)
        change(through(twin))
        assert bytes(twin) == bytes(made)
    for wrong in (3, "i", None, [1]):
        with pytest.raises(TypeError):
            sharedctypes.copy(wrong)


def test_a_copy_that_python_makes_is_not_taken_for_the_shared_one():
    raw = forkful.RawArray("i", [1, 2])
    own = copy.copy(raw)
    own[0] = 5
    assert raw[0] == 1
    value = forkful.RawValue(Point, 1)
    other = copy.copy(value)
    other.x = 5
    twin = through(other)
    assert (twin.x, value.x) == (5, 1)
    made = sharedctypes.SynchronizedArray(own)
    made[1] = 9
    assert (raw[1], own[1]) == (2, 9)


class Counter(sharedctypes.Synchronized):
    """As people derive from it, with a constructor of its own."""

    def __init__(self, start, ctx):
        super().__init__(sharedctypes.RawValue("i", start), ctx=ctx)
        self.label = "counter"

    def increment(self):
        with self.get_lock():
            self.value += 1


def increment(counter):
    counter.increment()


def test_subclasses_travel_with_what_they_have(context):
    counter = Counter(5, context)
    child = context.Process(target=increment, args=(counter,))
    child.start()
    child.join()
    assert counter.value == 6
    for twin in (through(counter), pickle.loads(pickle.dumps(counter))):
        twin.increment()
        assert type(twin) is Counter
        assert twin.label == "counter"
    assert counter.value == 8


class OwnLock(sharedctypes.RLock):
    pass


class OwnContext(BaseContext):
    def RLock(self):
        return OwnLock()


def test_the_lock_is_made_by_the_context():
    context = OwnContext()
    for made in (context.Value("i"), context.Array("i", 3), context.Value(Point)):
        assert type(made.get_lock()) is OwnLock
    assert type(sharedctypes.synchronized(Point(), ctx=context).get_lock()) is OwnLock


def take_and_die(made):
    made.acquire()
    kill_self()


def test_a_dead_owner_of_the_lock_is_reported_by_every_kind(context):
    for made, look in (
        (context.Value("i", 1), lambda each: each.value),
        (context.Value(Point, 1), lambda each: each.x),
        (context.Array("c", b"abc"), lambda each: each.value),
        (context.Array(Point, 2), lambda each: each[0]),
    ):
        child = context.Process(target=take_and_die, args=(made,))
        child.start()
        child.join()
        with pytest.raises(forkful.LockOwnerDied, match=r"recover\(\)"):
            look(made)
        assert made.get_lock().recover()
        look(made)
        made.release()
        look(made)


class Stop(Exception):
    pass


def raise_stop():
    raise Stop


def hold(made, ready, go):
    with made.get_lock():
        ready.set()
        go.wait()


@pytest.mark.parametrize("kind", ["i", Point])
def test_a_signals_handler_ends_a_wait_for_the_lock(kind):
    made, ready, go = forkful.Array(kind, 2), forkful.Event(), forkful.Event()
    child = forkful.Process(target=hold, args=(made, ready, go))
    child.start()
    ready.wait()
    try:
        with Alarm() as alarm:
            for attempt in (lambda: made[0], lambda: made[:], lambda: made.__setitem__(0, 5)):
                with pytest.raises(Stop):
                    alarm.after(0.02, raise_stop)
                    attempt()
    finally:
        go.set()
        child.join()
    assert made.get_lock().acquire(timeout=10)
    made.release()


def test_private_names_that_programs_use():
    wrapper = heap.BufferWrapper(24)
    numbers = sharedctypes.rebuild_ctype(ctypes.c_int, wrapper, 6)
    numbers[5] = 7
    assert wrapper.create_memoryview().cast("i")[5] == 7
    assert numbers._wrapper is wrapper
    assert sharedctypes.rebuild_ctype(Point, wrapper, None).x == 0
    made = sharedctypes._new_value(ctypes.c_double * 3)
    assert made[:] == [0, 0, 0]
    assert sharedctypes.reduce_ctype(made)[0] is not None
    assert sharedctypes.typecode_to_type["i"] is ctypes.c_int
    assert sharedctypes.make_property("x") is sharedctypes.prop_cache["x"]
    forkful.Value(Point)
    assert issubclass(sharedctypes.class_cache[Point], sharedctypes.SynchronizedBase)
    assert sharedctypes.assert_spawning(made) is None
    value = forkful.Value("i", 3)
    assert value._obj is value.get_obj()
    assert value._obj._wrapper.create_memoryview().nbytes == 4
    (arena, start, stop), size = made._wrapper._state
    assert arena.buffer[start:stop].nbytes == size == 24
    array = forkful.Array("i", range(5))
    assert array.__getslice__(1, 3) == [1, 2]
    array.__setslice__(1, 3, [8, 9])
    assert array[:] == [0, 8, 9, 3, 4]
    with pytest.raises(ValueError, match="(?i)buffer"):
        sharedctypes.rebuild_ctype(ctypes.c_int, wrapper, 7)


def test_a_wrapper_of_somebodys_own_is_taken():
    class Wrapper:
        def __init__(self):
            self.memory = bytearray(8)

        def create_memoryview(self):
            return memoryview(self.memory)

    wrapper = Wrapper()
    numbers = sharedctypes.rebuild_ctype(ctypes.c_int, wrapper, 2)
    made = sharedctypes.synchronized(numbers)
    made[1] = 258
    assert wrapper.memory[4:6] == b"\2\1"
    assert made[:] == [0, 258]


def test_an_array_is_made_once():
    made = forkful.Array("i", 3)
    with pytest.raises(RuntimeError, match="made once"):
        made.__init__(made.get_obj())
    with pytest.raises(RuntimeError, match=r"__init__\(\) has not run"):
        len(_core.Elements.__new__(_core.Elements))
