"""Arguments of wrong types: errors of the classes that multiprocessing has, with clear texts."""

from __future__ import annotations

import ctypes
import re
import types

import forkful
import pytest
from forkful import Array, BoundedSemaphore, Pipe, Semaphore, Value, connection, heap, sharedctypes
from forkful.futures import ProcessPoolExecutor
from forkful.pool import ThreadPool
from forkful.shared_memory import SharedMemory

SHARED_MEMORY = [
    (dict(size="1"), TypeError, "size of a SharedMemory must be an integer, its bytes, not '1'"),
    (dict(size=None), TypeError, "not None"),
    (dict(size=[1]), TypeError, r"not \[1\]"),
    (dict(size=8.0), TypeError, "not 8.0: int"),
    (dict(size=-1), ValueError, "positive integer, not -1"),
    (dict(size=8, name=5), TypeError, "name of a SharedMemory must be a str or None, not 5"),
    (dict(size=8, name=b"x"), TypeError, "not b'x'"),
]


@pytest.mark.parametrize(
    ("given", "error", "text"), SHARED_MEMORY, ids=[text for *_, text in SHARED_MEMORY]
)
def test_shared_memory(given, error, text):
    with pytest.raises(error, match=text):
        SharedMemory(create=True, **given)


def test_shared_memory_that_is_there_may_be_told_any_number_as_its_size():
    memory = SharedMemory(create=True, size=8)
    try:
        other = SharedMemory(memory.name, size=8.0)
        assert other.size >= 8
        other.close()
        for wrong in ("8", None):
            with pytest.raises(TypeError, match="size of a SharedMemory"):
                SharedMemory(memory.name, size=wrong)
    finally:
        memory.close()
        memory.unlink()


CONNECTION = [
    (lambda c: c.poll("1"), TypeError, "timeout must be a number of seconds or None, not str"),
    (lambda c: c.poll([]), TypeError, "not list"),
    (lambda c: c.poll(1j), TypeError, "not complex"),
    (lambda c: c.poll(float("nan")), ValueError, "not nan"),
    (lambda c: connection.wait([c], "1"), TypeError, "seconds or None, not str"),
    (lambda c: c.send_bytes("abc"), TypeError, "takes bytes .* not str; send"),
    (lambda c: c.send_bytes(None), TypeError, "not NoneType"),
    (lambda c: c.send_bytes(b"abc", "1"), TypeError, "offset must be an integer, not '1'"),
    (lambda c: c.send_bytes(b"abc", 1.0), TypeError, "offset must be an integer, not 1.0"),
    (lambda c: c.send_bytes(b"abc", 0, "1"), TypeError, "size must be an integer, not '1'"),
    (lambda c: c.recv_bytes("1"), TypeError, "maxlength must be an integer, not '1'"),
    (lambda c: c.recv_bytes(-1), ValueError, "negative maxlength: -1"),
    (lambda c: c.recv_bytes_into("abc"), TypeError, "received into str: give a bytearray"),
    (lambda c: c.recv_bytes_into(b"abc"), TypeError, "received into bytes: give a bytearray"),
    (lambda c: c.recv_bytes_into(bytearray(9), "1"), TypeError, "offset must be an integer"),
    (lambda _: connection.Connection("1"), AttributeError, "'1' has no '__index__': a descriptor"),
    (lambda _: connection.Listener(5), TypeError, r"address type of 5 .* \(host, port\)"),
    (lambda _: connection.Client(1.5), TypeError, "address type of 1.5"),
    (lambda _: connection.Client(b"x"), ValueError, "address type of b'x'"),
    (lambda _: connection.Client(None), ValueError, "address type of None"),
    (lambda _: connection.Listener(None, 5), ValueError, "Family 5 is not recognized"),
    (lambda _: connection.Listener(None, None, "1"), TypeError, "backlog must be an integer"),
    (lambda _: connection.Listener(("localhost", "x")), TypeError, r"listen at \('localhost', 'x'"),
    (lambda _: connection.Client(("localhost", "x")), TypeError, r"connect to \('localhost', 'x'"),
]


@pytest.mark.parametrize(
    ("call", "error", "text"), CONNECTION, ids=[text for *_, text in CONNECTION]
)
def test_connections_and_they_go_on(call, error, text):
    here, there = Pipe()
    with here, there:
        there.send_bytes(b"z")
        with pytest.raises(error, match=text):
            call(here)
        assert here.recv_bytes(1.5) == b"z"
        here.send_bytes(b"y")
        assert there.recv_bytes(float("inf")) == b"y"


MEMORY = [
    (lambda: heap.BufferWrapper("1"), TypeError, "piece of memory must be an integer, not '1'"),
    (lambda: heap.Arena(None), TypeError, "not None"),
    (lambda: heap.Heap().malloc(1.5), TypeError, "not 1.5"),
    (lambda: heap.Heap().free(5), TypeError, "takes a block as malloc"),
    (lambda: sharedctypes.RawValue("i", "1"), TypeError, r"c_int\('1'\): "),
    (lambda: sharedctypes.RawValue("i", 1, 2), TypeError, r"c_int\(1, 2\): "),
    (lambda: sharedctypes.synchronized(5), AttributeError, "5 has no '_fields_'"),
    (lambda: sharedctypes.synchronized("a"), AttributeError, "no ctypes object"),
    (
        lambda: sharedctypes.synchronized(ctypes.c_int(1), 5),
        AttributeError,
        "5 has no .* 'acquire'",
    ),
    (lambda: Value("i", "1"), TypeError, "typecode 'i', not '1'"),
    (lambda: Value("d", "1"), TypeError, "a real number is required for typecode 'd', not '1'"),
    (lambda: Array("f", "abc"), TypeError, "a real number is required for typecode 'f', not 'a'"),
    (lambda: Semaphore("2"), TypeError, "semaphore's initial value must be an int, not '2'"),
    (lambda: Semaphore(2.0), TypeError, "not 2.0"),
    (lambda: BoundedSemaphore(None), TypeError, "not None"),
    (lambda: Array("i", 3).__setitem__(slice(0, 2), 5), ValueError, "same size: .* of 2 values"),
    (lambda: Array("i", 3).__setitem__(slice(0, 2), [1]), ValueError, "same size: 1 values for 2"),
]


@pytest.mark.parametrize(("call", "error", "text"), MEMORY, ids=[text for *_, text in MEMORY])
def test_memory(call, error, text):
    with pytest.raises(error, match=text):
        call()


def show(value):
    print(value)


@pytest.mark.parametrize("named", [5, [1], None, "ab"])
def test_arguments_by_name_that_are_no_mapping_are_named(named):
    text = f"must be a dict or another mapping, not {re.escape(repr(named))}"
    with pytest.raises(TypeError, match=f"kwargs {text}"):
        forkful.Process(target=print, kwargs=named)
    with forkful.Pool(1) as pool, ThreadPool(1) as threads:
        for each in (pool, threads):
            with pytest.raises(TypeError, match=f"kwds {text}"):
                each.apply(print, (1,), named)
            with pytest.raises(TypeError, match=f"kwds {text}"):
                each.apply_async(print, (1,), named)


def test_any_mapping_has_arguments_by_name(context):
    named = types.MappingProxyType({"base": 2})
    with context.Pool(1) as pool:
        assert pool.apply(int, ("11",), named) == 3


def add(one, other):
    return one + other


def add_to_nothing(number):
    return add(number)


def test_a_function_of_two_arguments_is_told_how_items_become_two():
    with forkful.Pool(1) as pool, ProcessPoolExecutor(1) as executor:
        for call in (
            lambda: pool.map(add, [1, 2]),
            lambda: pool.map(add, [(1, 2)]),
            lambda: next(pool.imap(add, [1])),
            lambda: list(executor.map(add, [1])),
        ):
            with pytest.raises(TypeError, match="missing 1 required") as raised:
                call()
            (note,) = raised.value.__notes__
            assert "starmap() of a pool takes tuples apart" in note
        with pytest.raises(TypeError, match="missing 1 required") as raised:
            pool.map(add_to_nothing, [1])  # it is another function that was called wrongly
        assert not hasattr(raised.value, "__notes__")
        for several in ([3, 4], (3, 4), "34"):
            with pytest.raises(TypeError, match=r"are given by starmap\(f, zip\(a, b\)\)"):
                pool.map(add, [1, 2], several)
        assert pool.starmap(add, zip([1, 2], [3, 4], strict=True)) == [4, 6]


@pytest.mark.parametrize("text", ["hello", b"hello"])
def test_a_text_as_arguments_is_told(context, capfd, text):
    told = f"{text!r}, whose items are the arguments: one argument is written ({text!r},)"

    def is_printed():
        # What a fork server was started with is not this test's.
        return told in capfd.readouterr().err or context._name == "forkserver"

    child = context.Process(target=show, args=(text))
    child.start()
    child.join()
    assert is_printed()
    with context.Pool(1) as pool:
        for call in (pool.apply, lambda *given: pool.apply_async(*given).get(30)):
            with pytest.raises(TypeError, match="5 were given") as caught:
                call(show, (text))
            assert told in caught.value.__notes__[0]
            assert call(max, "abc") == "c"
    with context.Pool(1, show, (text)) as pool, pytest.raises(forkful.BrokenProcessPool):
        pool.apply(max, "abc")
    assert is_printed()


class Unmade(forkful.Process):
    def __init__(self):
        pass


@pytest.mark.parametrize("use", ["start", "join", "name", "exitcode", "daemon"])
def test_a_process_without_its_initialization_is_told(use):
    with pytest.raises(AttributeError, match=r"__init__\(\) has to call super\(\).__init__\(\)"):
        getattr(Unmade(), use)()


def test_an_attribute_that_a_process_has_not_is_no_matter_of_its_initialization():
    with pytest.raises(AttributeError, match="^'Process' object has no attribute 'colour'$"):
        forkful.Process().colour  # noqa: B018
