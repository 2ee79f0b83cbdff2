"""What a pool refuses, with the standard library's exception types; it works on afterwards."""

from __future__ import annotations

import datetime
import os
import sys

import forkful
import pytest


@pytest.fixture
def pool():
    with forkful.Pool(2) as pool:
        yield pool
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3], "the pool works on"


def test_bad_arguments_of_a_pool_have_the_standard_types():
    for number in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1, not {number}"):
            forkful.Pool(number)
    for most in (0, -1, 1.5, "1"):
        with pytest.raises(ValueError, match="maxtasksperchild"):
            forkful.Pool(1, maxtasksperchild=most)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        forkful.Pool(1, initializer=5)
    with pytest.raises(TypeError, match="processes must be an int, not <built-in function abs>"):
        forkful.Pool(abs)
    with pytest.raises(TypeError, match="processes must be an int, not 'two'"):
        forkful.Pool("two")
    with pytest.raises(TypeError, match=r"initargs must be .* one argument is written \(5,\)"):
        forkful.Pool(2, abs, 5)


def test_bad_arguments_of_a_call(pool):
    with pytest.raises(ValueError, match="Chunksize must be 1"):
        pool.imap(abs, [1], 0)
    for number in (0, -3):
        for call in (pool.map, pool.map_async, pool.starmap, pool.starmap_async):
            with pytest.raises(ValueError, match=f"Chunksize must be 1.*, not {number}"):
                call(abs, [(1,)], number)
    with pytest.raises(TypeError) as swapped:
        pool.map([1, 2], abs)
    assert swapped.value.__notes__ == ["forkful: the function comes first: map(func, iterable)"]
    with pytest.raises(TypeError) as single:
        pool.map(abs, 5)
    assert single.value.__notes__ == [
        "forkful: the function is called for each item of an iterable: map(func, [item])"
    ]
    with pytest.raises(TypeError):
        pool.apply(abs, 5)
    with pytest.raises(TypeError):
        pool.starmap(abs, [5])
    with pytest.raises(TypeError):
        pool.map(abs, [1], "two")
    with pytest.raises(NotImplementedError, match="pool objects cannot be passed"):
        pool.apply(repr, (pool,))


def test_a_pool_can_not_be_used_by_a_child_of_its_owner(pool):
    def use(queue):
        try:
            pool.map(abs, [1])
        except ValueError as error:
            queue.put(str(error))
        os._exit(0)

    queue = forkful.Queue()
    child = forkful.Process(target=use, args=(queue,))
    child.start()
    child.join()
    assert "belongs to another process" in queue.get(timeout=5)


def notes_of(error):
    return " ".join(getattr(error, "__notes__", ()))


def test_a_process_is_no_argument(pool):
    child = forkful.Process(target=abs, args=(1,))
    with pytest.raises(TypeError, match="a Process, which has it, cannot be sent: send its name"):
        pool.apply(repr, (child,))


def test_a_result_in_place_of_a_function_is_told_apart(pool):
    for call in (
        lambda: pool.map("f", [1, 2]),
        lambda: pool.starmap(5, [(1,)]),
        lambda: pool.apply_async(abs(-5)).get(timeout=10),
        lambda: pool.apply(abs(-5), (1,), {"key": 1}),
        lambda: next(pool.imap(abs(-5), [1])),
    ):
        with pytest.raises(TypeError, match="object is not callable") as raised:
            call()
        assert "given by its name: f and its arguments, not f(arguments)" in notes_of(raised.value)


def test_a_type_error_of_a_function_gets_no_advice(pool):
    with pytest.raises(TypeError) as raised:
        pool.map(abs, ["a"])
    assert notes_of(raised.value) == ""
    with pytest.raises(TypeError) as raised:
        pool.starmap(abs, [("a",)])
    assert notes_of(raised.value) == ""


def fail_to_iterate():
    yield 1
    raise TypeError("the input's own")


def test_a_type_error_of_the_input_gets_no_advice(pool):
    with pytest.raises(TypeError, match="the input's own") as raised:
        pool.map(abs, fail_to_iterate())
    assert notes_of(raised.value) == ""


@pytest.mark.parametrize("wrong", ["1", datetime.timedelta(seconds=1)])
def test_a_timeout_that_is_no_number_is_named(pool, wrong):
    for wait in (
        lambda: pool.apply_async(abs, (1,), timeout=wrong),
        lambda: pool.apply_async(abs, (1,)).get(wrong),
        lambda: pool.map_async(abs, [1]).wait(wrong),
        lambda: pool.imap(abs, [1]).next(wrong),
    ):
        with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not "):
            wait()


def test_the_end_of_a_program_in_a_task_is_raised_by_the_call(pool):
    worker = pool.apply(os.getpid)
    with pytest.raises(SystemExit) as raised:
        pool.apply(sys.exit, (3,))
    assert raised.value.code == 3
    assert worker in {each.pid for each in pool._pool}


def test_an_item_of_a_starmap_that_is_no_tuple_is_told_how_to_be_one(pool):
    with pytest.raises(TypeError, match="not iterable") as raised:
        pool.starmap(abs, [5, 6])
    assert "a single argument is written (argument,)" in notes_of(raised.value)
