"""How a pool of threads ends: close(), terminate(), the last reference, the program's end."""

from __future__ import annotations

import gc
import itertools
import threading
import time

import forkful
import forkful.dummy
import pytest
from forkful.pool import ThreadPool
from helpers import await_condition, run_python


@pytest.fixture
def pool():
    with ThreadPool(3) as pool:
        yield pool
    pool.join()


def square(number):
    return number * number


def test_close_runs_what_was_handed_in_then_workers_leave():
    pool = ThreadPool(2)
    go = threading.Event()
    results = [pool.apply_async(go.wait) for _ in range(5)]
    lazy = pool.imap(square, iter(range(3000)))
    pool.close()
    pool.close()
    for call in (pool.apply, pool.map, pool.imap, pool.apply_async):
        with pytest.raises(ValueError, match="not running"):
            call(square, (1,))
    go.set()
    pool.join()
    assert [result.get() for result in results] == [True] * 5
    assert list(lazy) == [square(n) for n in range(3000)]
    assert not any(worker.is_alive() for worker in pool._pool)
    pool.join()
    pool.terminate()


def test_terminate_waits_for_nothing_and_fails_what_has_no_result():
    pool = ThreadPool(2)
    go, began = threading.Event(), threading.Semaphore(0)

    def stay(_):
        began.release()
        go.wait()
        return 1

    called = []
    running = pool.map_async(stay, range(1000), chunksize=1, callback=called.append)
    waiting = pool.apply_async(square, (1,), callback=called.append)
    lazy = pool.imap(stay, itertools.count())
    for _ in range(2):
        began.acquire()
    start = time.monotonic()
    pool.terminate()
    assert time.monotonic() - start < 1
    for result in (running, waiting):
        with pytest.raises(forkful.PoolTerminated):
            result.get()
    with pytest.raises(forkful.PoolTerminated):
        next(lazy)
    with pytest.raises(StopIteration):
        next(lazy)
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))
    pool.join()
    assert any(worker.is_alive() for worker in pool._pool)
    go.set()
    await_condition(lambda: not any(worker.is_alive() for worker in pool._pool))
    assert called == []


def test_terminate_stops_a_part_after_the_item_that_runs():
    pool = ThreadPool(1)
    go, began, ran = threading.Event(), threading.Event(), []

    def run(item):
        ran.append(item)
        began.set()
        go.wait()

    result = pool.map_async(run, range(1000), chunksize=1000)
    began.wait()
    pool.terminate()
    with pytest.raises(forkful.PoolTerminated):
        result.get()
    go.set()
    await_condition(lambda: not any(worker.is_alive() for worker in pool._pool))
    assert ran == [0]


@pytest.mark.parametrize("where", ["task", "callback"])
def test_a_task_and_a_callback_may_close_and_join_their_pool(where):
    pool = ThreadPool(2)
    joined = threading.Event()

    def end(_):
        pool.close()
        pool.join()
        joined.set()

    if where == "task":
        pool.apply_async(end, (0,))
    else:
        pool.apply_async(square, (2,), callback=end)
    assert joined.wait(20)
    pool.join()


def test_what_is_handed_in_while_the_pool_is_closed_is_refused_or_has_a_result():
    for _ in range(100):
        pool = ThreadPool(2)
        results = []

        def use(pool=pool, results=results):
            try:
                while True:
                    results.append(pool.apply_async(square, (2,)))
                    results.append(pool.map_async(square, [2, 3], 1))
            except ValueError:
                pass

        user = threading.Thread(target=use)
        user.start()
        await_condition(lambda results=results: results)
        pool.close()
        pool.join()
        user.join(20)
        assert not user.is_alive()
        assert all(result.ready() for result in results)


def test_a_pool_that_is_ended_at_once_has_not_begun_much():
    pool = ThreadPool(3)
    go = threading.Event()
    pool.map_async(lambda n: go.wait(), range(10_000), chunksize=1)
    assert pool._taskqueue.qsize() >= 9_997
    assert not pool._taskqueue.empty()
    pool.terminate()
    assert pool._taskqueue.empty()
    go.set()
    pool.join()


def test_calls_are_begun_in_their_order():
    begun = []
    with ThreadPool(1) as pool:
        first = pool.map_async(begun.append, range(5), chunksize=1)
        second = pool.apply_async(begun.append, ("then",))
        first.wait()
        second.wait()
    assert begun == [0, 1, 2, 3, 4, "then"]


def test_terminate_gives_what_was_there_of_an_imap():
    pool = ThreadPool(1)
    go = threading.Event()
    results = pool.imap(lambda n: n if n < 2 else go.wait(), range(10))
    await_condition(lambda: results._arrived == 2)
    pool.terminate()
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(forkful.PoolTerminated):
        next(results)
    go.set()
    pool.join()


def test_a_thread_that_waits_is_told_of_the_end():
    pool = ThreadPool(1)
    go, caught = threading.Event(), []

    def wait():
        try:
            pool.apply(go.wait)
        except forkful.PoolTerminated as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    await_condition(lambda: pool._cache)
    pool.terminate()
    waiter.join(10)
    go.set()
    assert len(caught) == 1
    pool.join()


def test_joining_a_pool_that_runs_is_refused(pool):
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    pool.terminate()
    with pytest.raises(ValueError, match="not running"), pool:
        pass


def test_a_worker_may_end_its_pool():
    pool = ThreadPool(2)
    result = pool.apply_async(pool.terminate)
    with pytest.raises(forkful.PoolTerminated):
        result.get()
    pool.join()


def test_a_pool_that_is_forgotten_ends_and_is_warned_of():
    pool = ThreadPool(2)
    workers = list(pool._pool)
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        del pool
        gc.collect()
    await_condition(lambda: not any(worker.is_alive() for worker in workers))


@pytest.mark.parametrize("end", ["", "pool.close()", "pool.terminate()", "sys.exit(0)"])
def test_a_program_ends_while_threads_work(end):
    done = run_python(f"""
        import sys, threading
        from forkful.pool import ThreadPool
        pool = ThreadPool(2)
        results = pool.imap(lambda n: threading.Event().wait(), iter(range(5)))
        pool.apply_async(threading.Event().wait, callback=print)
        {end}
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_many_threads_hand_in_and_end_at_once():
    for _ in range(30):
        pool = ThreadPool(2)
        failures = []

        def use(pool=pool, failures=failures):
            try:
                for n in range(100):
                    assert pool.apply(square, (n,)) == n * n
                    assert list(pool.imap(square, [1, 2])) == [1, 4]
                    assert pool.map_async(square, [1], callback=abs_of).get() == [1]
            except (ValueError, forkful.PoolTerminated):
                pass
            except BaseException as error:
                failures.append(error)

        users = [threading.Thread(target=use) for _ in range(3)]
        for user in users:
            user.start()
        time.sleep(0.002)  # Why: the users are at it somewhere
        pool.terminate()
        pool.join()
        for user in users:
            user.join(20)
            assert not user.is_alive()
        assert failures == []


def abs_of(values):
    return [abs(value) for value in values]
