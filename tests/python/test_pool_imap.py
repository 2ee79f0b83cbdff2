"""imap and imap_unordered: order, bounded input, slow and failing inputs."""

from __future__ import annotations

import itertools
import threading
import time

import forkful
import pytest
from helpers import await_condition


@pytest.fixture
def pool(context):
    with context.Pool(2) as pool:
        yield pool


def square(number):
    return number * number


def generate(count):
    yield from range(count)


@pytest.mark.parametrize("make", [list, tuple, range, generate], ids=lambda f: f.__name__)
@pytest.mark.parametrize("chunksize", [1, 7])
def test_results_come_in_order(pool, make, chunksize):
    items = make(3000) if make in (range, generate) else make(range(3000))
    assert list(pool.imap(square, items, chunksize)) == [n * n for n in range(3000)]


def test_unordered_results_come_all(pool):
    got = list(pool.imap_unordered(square, generate(3000), 5))
    assert sorted(got) == [n * n for n in range(3000)]


def test_nothing_in_nothing_out(pool):
    for items in ([], (), range(0), generate(0)):
        assert list(pool.imap(square, items)) == []
        assert list(pool.imap_unordered(square, iter(items))) == []


def test_an_iterator_ends_once_and_for_all(pool):
    results = pool.imap(square, [1])
    assert iter(results) is results
    assert results.next() == 1
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def wait_for(event):
    return event.wait(20)


def test_next_has_a_time_limit(pool):
    event = forkful.Event()
    for method in (pool.imap, pool.imap_unordered):
        event.clear()
        results = method(wait_for, [event])
        began = time.monotonic()
        with pytest.raises(forkful.TimeoutError, match="next result .* within 0.05 seconds"):
            results.next(0.05)
        with pytest.raises(forkful.TimeoutError, match="next result .* within 0 seconds"):
            results.next(timeout=0)
        assert time.monotonic() - began < 3
        event.set()
        assert results.next(timeout=20) is True


def test_unordered_results_overtake(pool):
    event = forkful.Event()
    results = pool.imap_unordered(call, [(event.wait, 20), (abs, -5)])
    assert next(results) == 5
    event.set()
    assert next(results) is True
    results = pool.imap(call, [(event.wait, 20), (abs, -5)])
    assert list(results) == [True, 5]


def call(item):
    function, argument = item
    return function(argument)


class Counted:
    """An endless input that says how far it was drawn."""

    def __init__(self, kind=itertools.count):
        self.drawn = 0
        self.numbers = kind()

    def __iter__(self):
        return self

    def __next__(self):
        self.drawn += 1
        return next(self.numbers)


@pytest.mark.parametrize("chunksize", [1, 10])
def test_the_input_is_drawn_a_bounded_distance_ahead(pool, chunksize):
    source = Counted()
    results = pool.imap(square, source, chunksize)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    await_condition(lambda: source.drawn >= 1024 * chunksize)
    # Nobody consumes: several rounds of other work draw nothing more.
    drawn = source.drawn
    for _ in range(5):
        pool.map(square, range(100))
    assert source.drawn - drawn <= 2 * chunksize
    assert source.drawn <= 1026 * chunksize + 5
    for number in range(5, 5000):
        assert next(results) == number * number
    assert source.drawn <= 5000 + 1026 * chunksize


def test_breaking_out_of_an_endless_input(pool):
    for method in (pool.imap, pool.imap_unordered):
        for result in method(square, itertools.count()):
            if result > 100:
                break
    assert pool.map(square, [3]) == [9]


def test_the_iterator_outlives_the_with_statement_as_an_error():
    with forkful.Pool(2) as pool:
        results = pool.imap(square, itertools.count())
        next(results)
    with pytest.raises(forkful.ProcessError, match="terminated"):
        for _ in range(100_000):
            next(results)


def test_what_a_slow_input_gives_runs_at_once(pool):
    go = threading.Event()

    def slow():
        yield 3
        assert go.wait(20)
        yield 4

    results = pool.imap(square, slow())
    assert results.next(timeout=20) == 9
    with pytest.raises(forkful.TimeoutError):
        results.next(timeout=0.05)
    go.set()
    assert results.next(timeout=20) == 16


def test_a_slow_input_runs_in_a_thread_of_its_own(pool):
    threads = []

    def remember():
        threads.append(threading.get_ident())
        yield 1

    assert list(pool.imap(square, remember())) == [1]
    assert threads != [threading.get_ident()]


class SayWhen(Exception):
    pass


def fail_after(count, error=SayWhen):
    yield from range(count)
    raise error("when")


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize("error", [SayWhen, SystemExit, KeyboardInterrupt])
def test_an_error_of_the_input_comes_beside_its_items(pool, method, error):
    results = getattr(pool, method)(square, fail_after(5, error))
    got: list[object] = []
    for _ in range(6):
        try:
            got.append(results.next(timeout=20))
        except error as caught:
            got.append(str(caught))
    assert sorted(got, key=str) == [0, 1, 16, 4, 9, "when"]
    assert method == "imap_unordered" or got[-1] == "when"
    with pytest.raises(StopIteration):
        next(results)
    assert pool.apply(square, (2,)) == 4


def test_an_error_of_the_input_costs_its_whole_chunk(pool):
    results = pool.imap(square, fail_after(7), 4)
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    with pytest.raises(SayWhen):
        next(results)


def test_an_error_of_the_input_of_map_comes_at_once(pool):
    for method in (pool.map, pool.map_async, pool.starmap):
        with pytest.raises(SayWhen):
            method(square, fail_after(3))


def test_close_lifts_the_bound():
    pool = forkful.Pool(2)
    generated = pool.imap(square, generate(5000))
    listed = pool.imap_unordered(square, list(range(5000)))
    pool.close()
    pool.join()
    assert list(generated) == [n * n for n in range(5000)]
    assert sorted(listed) == [n * n for n in range(5000)]


def test_terminate_does_not_wait_for_a_blocked_input():
    go = threading.Event()

    def blocked():
        yield 1
        go.wait(30)
        yield 2

    pool = forkful.Pool(1)
    results = pool.imap(square, blocked())
    assert next(results) == 1
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 5
    with pytest.raises(forkful.ProcessError):
        results.next(timeout=10)
    go.set()


def test_several_imaps_share_a_pool(pool):
    results = [pool.imap(square, generate(2000)) for _ in range(4)]
    for number, row in enumerate(zip(*results, strict=True)):
        assert row == (number * number,) * 4


def test_an_iterator_keeps_its_pool():
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        assert list(forkful.Pool(1).imap(square, generate(10))) == [n * n for n in range(10)]
