"""Values of integers that are changed in one step: fetch_add() and the like."""

from __future__ import annotations

import ctypes
import threading

import forkful
import pytest
from forkful import _core, sharedctypes
from helpers import INTEGERS, kill_self

METHODS = ["fetch_add", "fetch_sub", "exchange", "compare_exchange"]
ROUNDS = 2000


def step(value, method, *numbers):
    return getattr(value, method)(*numbers, *[0] * (method == "compare_exchange"))


@pytest.mark.parametrize("code", INTEGERS)
def test_it_returns_what_the_value_was(code):
    value = forkful.Value(code, 5)
    assert value.fetch_add(3) == 5
    assert value.fetch_sub(2) == 8
    assert value.exchange(9) == 6
    assert value.compare_exchange(6, 1) is False
    assert value.value == 9
    assert value.compare_exchange(9, 1) is True
    assert value.value == 1


@pytest.mark.parametrize("code", INTEGERS)
def test_too_large_numbers_wrap_as_in_ctypes(code, seeded):
    kind = sharedctypes.typecode_to_type[code]
    least, most = INTEGERS[code]
    numbers = [least, most, 0, 1, -1, 2**64, *[seeded.randint(-(2**65), 2**65) for _ in range(50)]]
    value, model = forkful.Value(code), kind()
    for number in numbers:
        assert value.fetch_add(number) == model.value
        model.value += number
        assert value.fetch_sub(2 * number) == model.value
        model.value -= 2 * number
        assert value.compare_exchange(model.value, number) is True
        model.value = number
        assert value.compare_exchange(number, number) is True
        assert value.exchange(number + 1) == model.value
        model.value = number + 1
        assert value.value == model.value


@pytest.mark.parametrize("code", "bBhHiI")
def test_bytes_beside_the_value_stay(code):
    cell = _core.Cell(8)
    memory = memoryview(cell)
    memory[:] = bytes(range(1, 9))
    value = _core.Scalar(code, None, cell)
    for method in METHODS:
        step(value, method, value.value - 1)
    size = ctypes.sizeof(sharedctypes.typecode_to_type[code])
    assert memory[:size] != bytes(range(1, 1 + size))
    assert memory[size:] == bytes(range(1 + size, 9))


def test_what_has_an_index_is_an_integer():
    class Three:
        def __index__(self):
            return 3

    value = forkful.Value("i", 1)
    assert value.fetch_add(Three()) == 1
    assert value.fetch_add(True) == 4
    assert value.compare_exchange(Three(), 7) is False
    assert value.value == 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["d", "f", "c", "u", ctypes.c_bool, ctypes.c_longdouble])
def test_a_value_of_another_type_says_what_to_do(kind, method):
    value = forkful.Value(kind)
    before = value.value
    with pytest.raises(TypeError, match=rf"{method}\(\) is for .*'with v\.get_lock\(\):'"):
        step(value, method, 0)
    assert value.value == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [ctypes.c_void_p, ctypes.c_int.__ctype_be__])
def test_a_value_that_has_no_typecode_says_what_to_do(kind, method):
    value = forkful.Value(kind)
    with pytest.raises(TypeError, match=r"'with v\.get_lock\(\):'"):
        step(value, method, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", [1.5, "1", None])
def test_what_is_no_integer_is_refused(method, number):
    value = forkful.Value("i", 7)
    with pytest.raises(TypeError, match="an integer is required"):
        step(value, method, number)
    with pytest.raises(TypeError, match="argument"):
        getattr(value, method)()
    with pytest.raises(TypeError, match="argument"):
        getattr(value, method)(1, 2, 3)
    assert value.value == 7


class Counted:
    """A lock of another kind."""

    def __init__(self):
        self.acquired = self.released = 0

    def acquire(self):
        self.acquired += 1
        return True

    def release(self):
        self.released += 1


def test_the_lock_of_the_value_is_taken_whatever_it_is():
    lock = Counted()
    value = forkful.Value("q", lock=lock)
    for method in METHODS:
        step(value, method, 0)
    assert (lock.acquired, lock.released) == (4, 4)
    value = forkful.Value("q", lock=forkful.Lock())
    assert value.fetch_add(1) == 0
    with value.get_lock():
        waiter = threading.Thread(target=value.fetch_add, args=(1,))
        waiter.start()
        assert value.get_obj().value == 1
    waiter.join()
    assert value.value == 2


def test_who_holds_the_lock_may_use_them():
    value = forkful.Value("i")
    with value.get_lock():
        value.fetch_add(1)
        value.value += 1
        assert value.compare_exchange(2, 3)
    assert not value.get_lock().locked()
    assert value.value == 3


def acquire_and_die(value):
    value.acquire()
    kill_self()


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_owner_of_the_lock_is_reported(method):
    value = forkful.Value("i", 7)
    child = forkful.Process(target=acquire_and_die, args=(value,))
    child.start()
    child.join()
    with pytest.raises(forkful.LockOwnerDied):
        step(value, method, 7)
    assert value.get_lock().recover()
    assert value.value == 7
    value.release()
    step(value, method, 7)


def change_in_each_way(value, ready):
    """Adds ROUNDS."""
    ready.wait()
    for i in range(ROUNDS):
        match i % 4:
            case 0:
                value.fetch_add(3)
            case 1:
                value.fetch_sub(1)
            case 2:
                with value.get_lock():
                    value.value += 1
            case 3:
                was = value.value
                while not value.compare_exchange(was, was + 1):
                    was = value.value


@pytest.mark.parametrize("code", ["b", "H", "i", "Q"])
def test_no_change_is_lost_between_processes(context, code):
    value, ready = context.Value(code), context.Barrier(4)
    children = [context.Process(target=change_in_each_way, args=(value, ready)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    assert value.value == sharedctypes.typecode_to_type[code](4 * ROUNDS).value


def exchange_own_numbers(value, first, found, ready):
    ready.wait()
    found.put([value.exchange(first + i) for i in range(ROUNDS)])


def test_each_number_that_is_put_in_comes_out_once(context):
    value, found, ready = context.Value("q", -1), context.Queue(), context.Barrier(3)
    children = [
        context.Process(target=exchange_own_numbers, args=(value, i * ROUNDS, found, ready))
        for i in range(3)
    ]
    for child in children:
        child.start()
    out = [number for _ in children for number in found.get()]
    for child in children:
        child.join()
    assert sorted([*out, value.value]) == list(range(-1, 3 * ROUNDS))


def test_values_that_are_sent_have_them(context):
    with context.Pool(2) as pool:
        value = context.Value("i")
        pool.starmap(add_through_pool, [(value, i) for i in range(20)])
    assert value.value == sum(range(20))


def add_through_pool(value, number):
    value.fetch_add(number)
