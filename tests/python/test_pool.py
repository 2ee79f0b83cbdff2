"""Pool: calls, maps, order, chunks, and what a pool is made of."""

from __future__ import annotations

import functools
import operator
import os
import random
import threading
import time

import forkful
import pytest
from alarms import Alarm
from forkful import pool as pool_module
from helpers import await_condition


@pytest.fixture(scope="module")
def pool(context):
    with context.Pool(2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    """The pool of this module does, till its end."""
    return


def square(number):
    return number * number


def power(base, exponent=2):
    return base**exponent


def describe(*args, **kwargs):
    return args, sorted(kwargs.items()), os.getpid()


def test_apply_calls_in_a_worker(pool):
    args, kwargs, pid = pool.apply(describe, (1, [2]), {"b": 1, "a": None})
    assert (args, kwargs) == ((1, [2]), [("a", None), ("b", 1)])
    assert pid != os.getpid()
    assert pool.apply(describe)[:2] == ((), [])
    assert pool.apply(power, [3]) == 9
    assert pool.apply(func=power, args=(2,), kwds={"exponent": 5}) == 32
    assert pool.apply(square, (i for i in [4])) == 16


def test_apply_async_gives_a_result_that_can_be_asked(pool):
    result = pool.apply_async(square, (7,))
    assert isinstance(result, pool_module.AsyncResult)
    assert result.get() == result.get(timeout=1) == 49
    assert result.ready() is True
    assert result.successful() is True
    assert result.wait() is None


def test_map_keeps_the_order(pool):
    assert pool.map(square, range(1000)) == [i * i for i in range(1000)]
    assert pool.map(square, iter([3, 1, 2])) == [9, 1, 4]
    assert pool.map(square, []) == []
    assert pool.map(func=square, iterable=[5], chunksize=1) == [25]


@pytest.mark.parametrize("chunksize", [None, 1, 2, 3, 7, 99, 100, 101, 10_000])
def test_every_chunk_size_gives_every_result(pool, chunksize):
    expected = [i * i for i in range(100)]
    assert pool.map(square, range(100), chunksize) == expected
    assert pool.map_async(square, range(100), chunksize).get(20) == expected
    assert pool.starmap(power, [(i,) for i in range(100)], chunksize) == expected
    if chunksize is not None:
        assert list(pool.imap(square, range(100), chunksize)) == expected
        assert sorted(pool.imap_unordered(square, range(100), chunksize)) == expected


@pytest.mark.parametrize("chunksize", [2**33 + 1, 2**62, 2**64])
@pytest.mark.parametrize("items", [range(5), [0, 1, 2, 3, 4], range(0)])
def test_a_chunk_may_be_larger_than_any_input(pool, items, chunksize):
    expected = [i * i for i in items]
    assert pool.map(square, items, chunksize) == expected
    assert list(pool.imap(square, items, chunksize)) == expected
    assert list(pool.imap(square, iter(items), chunksize)) == expected
    assert sorted(pool.imap_unordered(square, items, chunksize)) == expected


@pytest.mark.parametrize("chunksize", [2.5, 1.0, "3"])
def test_a_chunk_size_that_is_no_number_of_items_is_named(pool, chunksize):
    for call in (pool.map, pool.map_async, pool.imap, pool.imap_unordered):
        with pytest.raises(TypeError, match="chunksize is a number of items, an int, not"):
            call(square, range(3), chunksize)


@pytest.mark.parametrize("chunksize", [None, 1, 3, 10_000, 100_000])
@pytest.mark.parametrize(
    "numbers",
    [
        range(0),
        range(9_999),
        range(10_000),
        range(25_003),
        range(9, -70_000, -7),
        range(2**70, 2**70 + 2),
    ],
)
def test_a_map_over_a_range_gives_every_result_whatever_its_length(pool, numbers, chunksize):
    assert pool.map(operator.neg, numbers, chunksize) == [-number for number in numbers]


def fail_at_20_000(number):
    if number == 20_000:
        raise ValueError(number)
    return number


def test_a_map_over_a_range_fails_as_any_other(pool):
    with pytest.raises(ValueError, match="20000"):
        pool.map(fail_at_20_000, range(30_000), 1)
    with pytest.raises((MemoryError, OverflowError)):
        pool.map(abs, range(10**15))
    with pytest.raises(OverflowError):
        pool.map(abs, range(2**70))
    with pytest.raises(TypeError, match="not iterable"):
        pool.starmap(power, range(30_000))


class CountsPickles:
    def __init__(self):
        self.pickled = 0

    def __call__(self, number):
        return number + self.pickled

    def __reduce__(self):
        self.pickled += 1
        return CountsPickles, (), {"pickled": 10}


@pytest.mark.parametrize("chunksize", [None, 1, 3, 12_500])
def test_a_map_pickles_its_function_once_however_many_items_there_are(pool, chunksize):
    add = CountsPickles()
    assert pool.map(add, range(40_000), chunksize) == list(range(10, 40_010))
    assert add.pickled == 1


class NotPickled:
    tries = 0

    def __call__(self, number): ...

    def __reduce__(self):
        NotPickled.tries += 1
        raise RuntimeError("not this one")


@pytest.mark.parametrize("numbers", [range(40_000), list(range(40_000))], ids=["range", "list"])
def test_a_function_that_cannot_be_pickled_is_tried_once(pool, numbers):
    NotPickled.tries = 0
    with pytest.raises(RuntimeError, match="not this one"):
        pool.map(NotPickled(), numbers, 1)
    assert NotPickled.tries == 1


def test_other_threads_run_while_many_items_are_handed_in(pool):
    laps = 0
    seen = []
    done = threading.Event()

    class Probe:
        def __reduce__(self):
            seen.append(laps)
            return int, ()

    def run():
        nonlocal laps
        while not done.is_set():
            laps += 1
            time.sleep(0)  # Why: lets the interpreter lock go

    thread = threading.Thread(target=run)
    thread.start()
    try:
        result = pool.map_async(abs, [Probe(), *range(3_000_000), Probe()], 1)
    finally:
        done.set()
        thread.join()
    # One or two laps may be run where the probes are pickled.
    assert seen[1] - seen[0] > 5
    assert result.get() == [0, *range(3_000_000), 0]


class HandlerError(Exception):
    pass


def test_a_signal_handler_that_raises_ends_a_map_between_its_pieces(pool):
    def raise_error():
        raise HandlerError

    with Alarm() as alarm, pytest.raises(HandlerError):
        alarm.after(0.01, raise_error)
        while True:
            pool.map_async(abs, range(500_000), 1)
    assert pool.map(abs, range(30_000), 1) == list(range(30_000))


def test_starmap_unpacks(pool):
    pairs = [(2, 3), [3, 2], "ab"]
    assert pool.starmap(describe_args, pairs) == [(2, 3), (3, 2), ("a", "b")]
    assert pool.starmap_async(power, [(2, 3), (3, 2)]).get(10) == [8, 9]


def describe_args(*args):
    return args


def touch(value):
    return value


@pytest.mark.parametrize(
    "item",
    [None, True, 2**80, "ü", b"x" * 100_000, [1, {2: {3}}], (1, [2]), {"a": 1}, range(3), int],
    ids=lambda item: type(item).__name__,
)
def test_arguments_and_results_of_every_kind(pool, item):
    assert pool.apply(touch, (item,)) == item
    assert pool.map(touch, [item] * 5, chunksize=2) == [item] * 5
    assert pool.map(touch, [1, item, "two"], chunksize=3) == [1, item, "two"]
    assert list(pool.imap(touch, [item])) == [item]


def test_large_arguments_and_results(pool):
    block = os.urandom(20 << 20)
    assert pool.apply(touch, (block,)) == block
    assert pool.map(len, [block, block[:5]]) == [20 << 20, 5]


class Adder:
    def __init__(self, amount):
        self.amount = amount

    def add(self, number):
        return number + self.amount

    def __call__(self, number):
        return number + self.amount

    @classmethod
    def make(cls, amount):
        return cls(amount).amount


def test_callables_of_every_kind(pool):
    adder = Adder(1)
    assert pool.map(adder, [1, 2]) == [2, 3]
    adder.amount = 10  # a callable with a state is sent as it is now
    assert pool.map(adder, [1, 2]) == [11, 12]
    assert pool.map(adder.add, [1, 2]) == [11, 12]
    assert pool.map(Adder.make, [1, 2]) == [1, 2]
    assert pool.map(functools.partial(power, exponent=3), [2]) == [8]
    assert pool.map(operator.itemgetter(0), ["ab"]) == ["a"]
    assert pool.map("abc".index, ["b", "c"]) == [1, 2]
    assert pool.map(str, [1]) == ["1"]
    assert pool.map(abs, [-1]) == [1]


def put_and_get(queue, lock, value):
    with lock:
        value.value += 1
    queue.put(os.getpid())


def test_queues_locks_and_values_are_arguments(pool):
    queue, lock, value = forkful.Queue(), forkful.Lock(), forkful.Value("i", 0)
    pool.starmap(put_and_get, [(queue, lock, value)] * 10, chunksize=3)
    assert value.value == 10
    assert {queue.get(timeout=5) for _ in range(10)} <= {worker.pid for worker in pool._pool}
    pool.apply(queue.put, ("bound",))
    assert queue.get(timeout=5) == "bound"


def test_results_that_are_not_there_yet(pool):
    event = forkful.Event()
    result = pool.apply_async(event.wait)
    assert result.ready() is False
    with pytest.raises(ValueError, match=r"successful\(\): .* is not ready: call wait\(\) first"):
        result.successful()
    began = time.monotonic()
    with pytest.raises(forkful.TimeoutError, match="result was not there within 0.05 seconds"):
        result.get(timeout=0.05)
    result.wait(0.05)
    assert 0.09 < time.monotonic() - began < 3
    with pytest.raises(forkful.TimeoutError, match="within 0 seconds; its call goes on"):
        result.get(0)
    event.set()
    result.wait(10)
    assert result.ready() and result.get() is True


def test_ready_notices_a_result_without_a_wait(pool):
    result = pool.apply_async(square, (3,))
    await_condition(result.ready)
    assert result.successful()


def test_many_results_wait_unread(pool):
    results = [pool.apply_async(square, (i,)) for i in range(5000)]
    assert [r.get(20) for r in reversed(results)] == [i * i for i in reversed(range(5000))]


def test_threads_share_a_pool(pool):
    def use(number, wrong):
        for i in range(100):
            if pool.apply(square, (number + i,)) != (number + i) ** 2:
                wrong.append(i)
            if pool.map(square, range(number, number + 5)) != [
                n * n for n in range(number, number + 5)
            ]:
                wrong.append(-i)

    wrong: list[int] = []
    threads = [threading.Thread(target=use, args=(n * 1000, wrong)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()
    assert wrong == []


def test_one_thread_submits_and_others_collect(pool):
    results = [pool.map_async(square, range(i)) for i in range(40)]
    sums: dict[int, int] = {}

    def collect(i):
        sums[i] = sum(results[i].get(20))

    threads = [threading.Thread(target=collect, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert sums == {i: sum(n * n for n in range(i)) for i in range(40)}


def test_two_pools_work_side_by_side(pool):
    with forkful.Pool(1) as other:
        first = pool.map_async(square, range(100))
        second = other.map_async(square, range(100))
        assert first.get(20) == second.get(20)


def test_both_workers_work(pool):
    first, second = forkful.Event(), forkful.Event()
    results = [pool.apply_async(meet, pair) for pair in ((first, second), (second, first))]
    assert [result.get(20) for result in results] == [True, True]


def meet(mine, theirs):
    mine.set()
    return theirs.wait(10)


def test_repr_and_type():
    pool = forkful.Pool(1)
    assert isinstance(pool, pool_module.Pool)
    assert repr(pool) == "<forkful.pool.Pool state=RUN pool_size=1>"
    pool.close()
    assert "state=CLOSE" in repr(pool)
    pool.join()


def test_workers_are_daemonic_children_by_name(pool):
    for worker in pool._pool:
        assert worker.daemon
        assert "PoolWorker-" in worker.name
        assert worker in forkful.active_children()


def start_something():
    child = forkful.Process(target=int)
    child.start()
    child.join()
    with forkful.Pool(1) as inner:
        return child.exitcode, inner.map(square, [2, 3])


def test_workers_may_start_processes_and_pools(pool):
    assert pool.apply(start_something) == (0, [4, 9])


def test_the_default_number_of_workers_is_the_cpu_count():
    with forkful.Pool() as pool:
        assert len(pool._pool) == forkful.cpu_count() == len(os.sched_getaffinity(0))


def test_a_map_counts_the_tasks_that_have_no_result_yet(pool):
    result = pool.map_async(abs, range(10), 3)
    assert 0 <= result._number_left <= 4
    result.wait()
    assert result._number_left == 0


def test_methods_of_built_in_objects_travel_with_the_object_as_it_is(pool):
    table: dict[str, int] = {}
    get = table.get
    assert pool.map(get, ["a"]) == [None]
    table["a"] = 1
    assert pool.map(get, ["a"]) == [1]
    assert pool.apply(get, ("a",)) == 1
    # Each task has the generator of numbers that it was given, not what another one left.
    draw = random.Random(5).getrandbits
    assert len(set(pool.map(draw, [32] * 8, chunksize=1))) == 1
