"""Executor.map(): results in order, early ends, and inputs that are drawn with a bound."""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import weakref

import executor_tasks as tasks
import pytest
from forkful.futures import ProcessPoolExecutor
from helpers import await_condition


@pytest.fixture
def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


@pytest.mark.parametrize("chunksize", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("buffersize", [None, 1, 3, 100])
def test_the_results_come_in_order(executor, chunksize, buffersize):
    sizes = {"chunksize": chunksize, "buffersize": buffersize}
    assert list(executor.map(tasks.add, range(40), **sizes)) == list(range(40))
    pairs = executor.map(pow, range(40), itertools.count(), **sizes) if buffersize else []
    assert list(pairs) == [i**i for i in range(40)] or not buffersize
    assert list(executor.map(pow, range(40), [2] * 39, **sizes)) == [i**2 for i in range(39)]
    assert list(executor.map(tasks.add, [], **sizes)) == []
    assert list(executor.map(tasks.add, **sizes)) == []


def test_sizes_are_checked_at_the_call(executor):
    for size in (0, -1):
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            executor.map(tasks.add, [1], chunksize=size)
        with pytest.raises(ValueError, match="buffersize must be None or > 0"):
            executor.map(tasks.add, [1], buffersize=size)
    with pytest.raises(TypeError, match="buffersize must be an integer"):
        executor.map(tasks.add, [1], buffersize=1.5)
    with pytest.raises(TypeError):
        executor.map(tasks.add, 1)


@pytest.mark.parametrize("sizes", [{}, {"chunksize": 3}, {"buffersize": 2}, {"timeout": 20}])
def test_the_first_error_ends_it(executor, sizes):
    results = executor.map(tasks.raise_at, range(100), [5] * 100, **sizes)
    assert list(itertools.islice(results, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5"):
        next(results)
    assert list(results) == []


def test_an_input_that_raises_does_so_at_once(executor):
    def inputs():
        yield 1
        raise KeyError("input")

    with pytest.raises(KeyError, match="input"):
        executor.map(tasks.add, inputs())
    results = executor.map(tasks.add, inputs(), buffersize=1)
    with pytest.raises(KeyError, match="input"):
        list(results)
    assert executor.submit(tasks.add, 1).result() == 1


def test_the_time_out_is_for_all(executor, context):
    list(executor.map(tasks.add, range(100)))  # the workers have started
    full, empty = context.Semaphore(2), context.Semaphore(0)
    results = executor.map(tasks.acquire, [full, full, empty], timeout=2)
    assert next(results) and next(results)
    with pytest.raises(TimeoutError):
        next(results)
    empty.release()


def test_closing_it_cancels_the_rest(executor, context, tmp_path):
    semaphore = context.Semaphore(0)
    held = [executor.submit(tasks.acquire, semaphore) for _ in range(2)]
    results = executor.map(tasks.mark, [tmp_path / "marks"] * 1000)
    with pytest.raises(TimeoutError):
        next(executor.map(tasks.mark, [tmp_path / "others"] * 1000, timeout=0))
    results.close()  # it has not begun: nothing is cancelled
    semaphore.release(), semaphore.release()
    assert all(f.result() for f in held)
    executor.shutdown()
    assert (tmp_path / "marks").read_text() == "x" * 1000
    assert not (tmp_path / "others").exists()


def test_a_bound_draws_as_results_are_taken(executor):
    source = itertools.count()
    results = executor.map(tasks.add, source, buffersize=4)
    assert next(source) == 4
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert next(source) == 8
    results.close()
    source = itertools.count()
    results = executor.map(tasks.add, source, buffersize=2, chunksize=3)
    assert next(source) == 6
    assert next(results) == 0
    assert next(source) == 10


def test_an_iterator_with_a_bound_that_is_dropped_keeps_nothing(executor):
    results = executor.map(tasks.add, itertools.count(), buffersize=2)
    del results
    gc.collect()
    executor.shutdown()  # it would wait for the rest


def test_a_bound_ends_with_the_executor(executor):
    results = executor.map(tasks.add, itertools.count(), buffersize=2)
    assert next(results) == 0
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(results)


def test_the_iterator_has_no_reference_to_what_it_gave(executor):
    for sizes in ({}, {"timeout": 20}, {"buffersize": 3}):
        for made in executor.map(tasks.make_holder, range(10), **sizes):
            known = weakref.ref(made)
            del made
            await_condition(lambda known=known: known() is None)


def test_a_submit_of_its_own_is_used():
    class Counting(ProcessPoolExecutor):
        count = 0

        def submit(self, fn, /, *args, **kwargs):
            self.count += 1
            return super().submit(fn, *args, **kwargs)

    with Counting(2) as executor:
        assert list(executor.map(tasks.add, range(10), chunksize=2)) == list(range(10))
        assert executor.count == 5
        assert list(executor.map(pow, range(4), range(4), buffersize=2)) == [1, 1, 4, 27]
        assert executor.count == 9
        results = executor.map(tasks.raise_at, range(100), [5] * 100, timeout=20)
        with pytest.raises(ValueError, match="5"):
            list(results)
    with pytest.raises(RuntimeError):
        executor.map(tasks.add, [1])


def test_cancelled_maps_say_so(executor, context):
    semaphore = context.Semaphore(0)
    held = [executor.submit(tasks.acquire, semaphore) for _ in range(2)]
    await_condition(lambda: all(f.running() for f in held))
    results = executor.map(tasks.add, range(100))
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(concurrent.futures.CancelledError):
        list(results)
    semaphore.release(), semaphore.release()
    assert all(f.result() for f in held)
