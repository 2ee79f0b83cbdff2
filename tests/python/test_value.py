"""Value and RawValue: types, locks, sharing, and what they refuse."""

from __future__ import annotations

import ctypes
import math
import pickle

import forkful
import pytest
from forkful import reduction, sharedctypes
from helpers import INTEGERS


@pytest.mark.parametrize("code", INTEGERS)
def test_integers_keep_their_range(code):
    for make in (forkful.Value, forkful.RawValue):
        value = make(code)
        assert value.value == 0
        for number in INTEGERS[code]:
            value.value = number
            assert value.value == number
            assert make(code, number).value == number


@pytest.mark.parametrize("code", INTEGERS)
def test_too_large_numbers_wrap_as_in_ctypes(code):
    kind = sharedctypes.typecode_to_type[code]
    for number in (INTEGERS[code][1] + 1, INTEGERS[code][0] - 1):
        assert forkful.Value(code, number).value == kind(number).value


def test_floats_and_characters():
    assert forkful.Value("d").value == 0.0
    assert forkful.Value("d", math.pi).value == math.pi
    assert forkful.Value("f", math.pi).value == ctypes.c_float(math.pi).value
    assert math.isnan(forkful.Value("d", float("nan")).value)
    assert forkful.Value("d", 3).value == 3.0
    assert forkful.Value("c", b"x").value == b"x"
    assert forkful.Value("c").value == b"\0"
    assert forkful.Value("c", 65).value == forkful.Value("c", bytearray(b"A")).value == b"A"
    assert forkful.Value("u", "☃").value == "☃"


@pytest.mark.parametrize(
    "kind",
    [
        ctypes.c_bool,
        ctypes.c_longdouble,
        ctypes.c_void_p,
        ctypes.c_int.__ctype_be__,
        ctypes.c_char,
        ctypes.c_byte,
        ctypes.c_short,
        ctypes.c_int,
        ctypes.c_uint32,
        ctypes.c_long,
        ctypes.c_int64,
        ctypes.c_ulonglong,
        ctypes.c_size_t,
        ctypes.c_float,
        ctypes.c_double,
    ],
)
def test_simple_ctypes_types_work(kind):
    value = forkful.Value(kind)
    assert value.value == kind().value
    assert type(value.get_obj()) in (kind, ctypes.c_long, ctypes.c_ulong)
    assert isinstance(value, sharedctypes.Synchronized)
    assert isinstance(value, sharedctypes.SynchronizedBase)


def test_a_bool_is_a_bool():
    value = forkful.Value(ctypes.c_bool, False)
    assert value.value is False
    for truth in (True, 1, "x", [0]):
        value.value = truth
        assert value.value is True
        value.value = not truth
        assert value.value is False
    with pytest.raises(TypeError):
        forkful.Value("?")


def count(value):
    for _ in range(1000):
        with value.get_lock():
            value.value += 1


def test_a_value_is_shared_and_its_lock_is_an_rlock(context):
    value = context.Value("i", 0)
    children = [context.Process(target=count, args=(value,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert value.value == 3000
    assert type(value.get_lock()) is type(context.RLock())
    with value, value:
        value.value += 1
    assert value.acquire() is True
    value.release()
    assert value.get_obj().value == 3001
    assert repr(value) == "<Synchronized wrapper for c_int(3001)>"


def test_lock_may_be_given_or_left_out():
    lock = forkful.Lock()
    value = forkful.Value("i", 1, lock=lock)
    assert value.get_lock() is lock
    assert value.value == 1
    raw = forkful.Value("i", 2, lock=False)
    assert raw.value == 2
    assert not hasattr(raw, "get_lock")
    assert forkful.Value("i", lock=None).get_lock() is not None
    with pytest.raises(AttributeError, match="has no method 'acquire'"):
        forkful.Value("i", lock="no lock")


class OwnLock:
    """A lock of somebody's own."""

    held = 0

    def acquire(self):
        self.held += 1

    def release(self):
        self.held -= 1


def test_a_character_that_is_none_is_a_value_error_whatever_the_lock_is():
    lock = OwnLock()
    value = forkful.Value("u", "a", lock=lock)
    memoryview(value._cell)[:4] = b"\xff\xff\xff\x7f"
    with pytest.raises(ValueError, match="character"):
        value.value  # noqa: B018
    assert lock.held == 0


def test_reading_waits_for_the_lock():
    value = forkful.Value("i", 1)
    queue = forkful.Queue()
    with value.get_lock():
        child = forkful.Process(target=lambda: queue.put(value.value))
        child.start()
        value.value = 2
        assert queue.empty()
        value.value = 3
    assert queue.get(timeout=10) == 3
    child.join()


def test_a_ctypes_view_is_the_same_memory():
    value = forkful.Value("d", 1.5)
    view = value.get_obj()
    view.value = 2.5
    assert value.value == 2.5
    del value
    assert view.value == 2.5


@pytest.mark.parametrize("wrong", ["x", "", "ii", "int", 3, None, int, object(), b"i"])
def test_a_wrong_typecode_is_a_type_error_that_names_it(wrong):
    for make in (forkful.Value, forkful.RawValue):
        with pytest.raises(TypeError) as caught:
            make(wrong)
        assert repr(wrong) in str(caught.value)
        assert "typecode" in str(caught.value) or "ctypes" in str(caught.value)
    assert forkful.Value("i", 1).value == 1


def test_a_value_in_the_place_of_the_type_is_told_its_own():
    for make in (forkful.Value, forkful.RawValue):
        with pytest.raises(TypeError, match=r"the type comes first: Value\('i', 0\)"):
            make(0, "i")


def test_wrong_initial_values_are_type_errors():
    for code, number in (("i", "1"), ("i", 1.5), ("d", "1"), ("c", "x"), ("c", b"xy"), ("u", b"x")):
        with pytest.raises(TypeError):
            forkful.Value(code, number)
        value = forkful.Value(code)
        with pytest.raises(TypeError):
            value.value = number
    with pytest.raises(TypeError, match="one initial value"):
        forkful.Value("i", 1, 2)
    with pytest.raises(AttributeError):
        del forkful.Value("i").value


class Index:
    def __index__(self):
        return 7


def test_whatever_has_an_index_is_an_integer():
    assert forkful.Value("i", Index()).value == 7


def test_a_value_is_converted_before_its_lock_is_taken():
    value = forkful.Value("d", 1.5, lock=forkful.Lock())

    class Next:
        def __float__(self):
            return value.value + 1

    value.value = Next()
    assert value.value == 2.5


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


def test_a_structure_has_a_property_for_each_field():
    point = forkful.Value(Point, 1, 2.5)
    child = forkful.Process(target=setattr, args=(point, "x", 7))
    child.start()
    child.join()
    assert (point.x, point.y, point.get_obj().x) == (7, 2.5, 7)
    assert isinstance(point, sharedctypes.SynchronizedBase)
    with point.get_lock():
        point.y += 1
    assert pickle.loads(reduction.ForkingPickler.dumps(point)).y == 3.5


def test_a_value_without_a_lock_is_a_ctypes_object():
    for raw in (forkful.RawValue("i", 3), forkful.Value(ctypes.c_int, 3, lock=False)):
        assert isinstance(raw, ctypes.c_int)
        assert ctypes.sizeof(raw) == 4
        assert ctypes.cast(ctypes.addressof(raw), ctypes.POINTER(ctypes.c_int)).contents.value == 3
        queue = forkful.Queue()
        queue.put(raw)
        queue.put(ctypes.c_int(5))
        twin, plain = queue.get(), queue.get()
        raw.value = 4
        assert (twin.value, plain.value) == (4, 5)
        assert sharedctypes.copy(raw).value == 4
    point = forkful.RawValue(Point, 3)
    assert (point.x, point.y) == (3, 0)


def test_a_value_travels():
    queue = forkful.Queue()
    for value in (forkful.Value("i", 3), forkful.Value(ctypes.c_void_p, 3)):
        queue.put(value)
        twin = queue.get()
        twin.value = 4
        assert (value.value, type(twin)) == (4, type(value))
