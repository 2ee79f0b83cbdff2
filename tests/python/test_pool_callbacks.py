"""Callbacks: who calls them, when, and what their own errors do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import forkful
import pytest
from helpers import await_condition, kill_self


@pytest.fixture
def pool():
    with forkful.Pool(2) as pool:
        yield pool


def fail(text):
    raise ValueError(text)


def test_a_callback_gets_the_result_before_the_waiter(pool):
    seen: list[object] = []
    assert pool.apply_async(abs, (-3,), callback=seen.append).get(20) == 3
    assert seen == [3]
    pool.map_async(abs, [-1, -2], callback=seen.append).wait(20)
    assert seen == [3, [1, 2]]
    pool.starmap_async(pow, [(2, 3)], callback=seen.append).wait(20)
    assert seen == [3, [1, 2], [8]]


def test_an_error_callback_gets_the_error(pool):
    values: list[object] = []
    errors: list[BaseException] = []
    result = pool.apply_async(fail, ("x",), {}, values.append, errors.append)
    with pytest.raises(ValueError, match="x"):
        result.get(20)
    with pytest.raises(ValueError, match="y"):
        pool.map_async(fail, ["y"], callback=values.append, error_callback=errors.append).get(20)
    assert values == []
    assert [str(error) for error in errors] == ["x", "y"]
    pool.apply_async(abs, (1,), error_callback=errors.append).wait(20)
    assert len(errors) == 2


def test_callbacks_run_in_one_thread_of_this_process(pool):
    threads = set()
    results = [
        pool.apply_async(abs, (n,), callback=lambda _: threads.add(threading.get_ident()))
        for n in range(50)
    ]
    for result in results:
        result.wait(20)
    assert len(threads) == 1
    assert threads.pop() != threading.get_ident()


def test_callbacks_run_though_nobody_waits(pool):
    done = threading.Event()
    pool.apply_async(abs, (1,), callback=lambda _: done.set())
    assert done.wait(20)
    pool.map_async(abs, [], callback=lambda _: done.clear())
    await_condition(lambda: not done.is_set())


def test_callbacks_of_one_worker_come_in_order():
    seen: list[int] = []
    with forkful.Pool(1) as pool:
        results = [pool.apply_async(abs, (n,), callback=seen.append) for n in range(500)]
        results[-1].wait(20)
    assert seen == list(range(500))


def test_close_and_join_wait_for_callbacks():
    seen: list[int] = []
    pool = forkful.Pool(2)
    for n in range(100):
        pool.apply_async(abs, (n,), callback=seen.append)
    pool.close()
    pool.join()
    assert sorted(seen) == list(range(100))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_an_error_in_a_callback_is_printed_and_stops_nothing(pool, capfd, error):
    def refuse(_):
        raise error("callback broke")

    assert pool.apply_async(abs, (-1,), callback=refuse).get(20) == 1
    with pytest.raises(ValueError, match="x"):
        pool.apply_async(fail, ("x",), error_callback=refuse).get(20)
    seen: list[int] = []
    pool.apply_async(abs, (-2,), callback=seen.append).wait(20)
    assert seen == [2]
    assert capfd.readouterr().err.count("\nTraceback") == 1  # and one at its beginning


def test_a_callback_may_use_the_pool(pool):
    seen: list[object] = []
    done = threading.Event()

    def go_on(value):
        seen.append(value)
        seen.append(pool.apply(abs, (-value - 1,)))
        if value < 5:
            pool.apply_async(abs, (value + 2,), callback=go_on)
        else:
            done.set()

    pool.apply_async(abs, (1,), callback=go_on)
    assert done.wait(20)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_callback_may_end_the_pool():
    pool = forkful.Pool(1)
    done = threading.Event()

    def end(_):
        pool.terminate()
        done.set()

    pool.apply_async(abs, (1,), callback=end)
    assert done.wait(20)
    pool.join()


def test_a_waiter_with_a_callback_is_not_kept(pool):
    pool.apply_async(abs, (1,), callback=lambda _: None).get(20)
    began = time.monotonic()
    for _ in range(100):
        pool.apply_async(abs, (1,), callback=lambda _: None).get(20)
    assert time.monotonic() - began < 1, "10 ms a call: somebody waits for a slice to end"


def test_a_waiter_sees_the_callbacks_effects_from_any_thread(pool):
    def use(number, wrong):
        for _ in range(50):
            seen: list[int] = []
            pool.apply_async(abs, (number,), callback=seen.append).get(20)
            if seen != [number]:
                wrong.append(seen)

    wrong: list[list[int]] = []
    threads = [threading.Thread(target=use, args=(n, wrong)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert wrong == []


def test_a_dropped_pool_still_calls_back():
    done = threading.Event()

    def use():
        with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool") as seen:
            forkful.Pool(1).apply_async(abs, (1,), callback=lambda _: done.set())
            assert done.wait(20)
            await_condition(lambda: len(seen))

    use()  # what it has seen holds the pool
    await_condition(lambda: not forkful.active_children())


def test_who_has_a_result_has_its_callback_run_though_the_pool_is_terminated():
    ending = threading.Event()
    seen: list[object] = []
    with forkful.Pool(1) as pool:
        # The first callback holds the others up until the pool is being terminated.
        held = pool.apply_async(abs, (-1,), callback=lambda _: ending.wait(20))
        behind = [pool.apply_async(abs, (-n,), callback=seen.append) for n in range(2, 20)]
        assert pool.apply(abs, (-7,)) == 7  # the worker has done them all, and here they are
        late = pool.apply_async(signal.pause, callback=seen.append)
        end = threading.Thread(target=pool.terminate)
        end.start()
        await_condition(lambda: repr(pool).count("TERMINATE"))
        ending.set()
        end.join()
    assert held.get(20) == 1
    assert [each.get(20) for each in behind] == seen == list(range(2, 20))
    with pytest.raises(forkful.PoolTerminated):
        late.get(20)


def test_callbacks_run_before_a_with_block_has_ended():
    for _ in range(100):
        seen: list[object] = []
        with forkful.Pool(1) as pool:
            first = pool.apply_async(abs, (-1,), callback=seen.append)
            pool.apply(abs, (-2,))
        assert seen == [1]
        assert first.get(0) == 1


# --- a pool is attended while a callback runs ---


@pytest.fixture
def held():
    """A pool of one worker, whose callback waits until `go` is set, which it then sees in time."""
    go = forkful.Event()
    in_time = []
    with forkful.Pool(1, maxtasksperchild=1) as pool:
        running = threading.Event()

        def wait(_):
            running.set()
            in_time.append(go.wait(20))

        first = pool.apply_async(abs, (-1,), callback=wait)
        assert running.wait(20)
        yield pool, go
        assert first.get(20) == 1
    assert in_time == [True]


def test_a_callback_may_wait_for_a_worker_that_is_not_started_yet(held):
    pool, go = held
    pool.apply_async(abs, (-2,))
    pool.apply_async(go.set)


def test_a_callback_may_wait_for_what_comes_after_a_death(held):
    pool, go = held
    pool.apply_async(kill_self)
    pool.apply_async(go.set)


def test_a_callback_may_wait_for_what_comes_after_a_time_out(held):
    pool, go = held
    late = pool.apply_async(signal.pause, timeout=0.05)
    pool.apply_async(go.set)
    with pytest.raises(forkful.TimeoutError):
        late.get(20)


def test_results_are_collected_while_a_callback_runs(held):
    pool, go = held
    seen: list[int] = []
    results = [pool.apply_async(abs, (-n,), callback=seen.append) for n in range(5)]
    await_condition(lambda: all(each._value is not None for each in results))
    assert not any(each.ready() for each in results)
    go.set()
    assert [each.get(20) for each in results] == seen == list(range(5))


def test_a_pool_is_closed_and_joined_while_a_callback_runs(held):
    pool, go = held
    results = [pool.apply_async(abs, (-n,)) for n in range(5)]
    pool.apply_async(go.set)
    pool.close()
    pool.join()
    assert [each.get(0) for each in results] == list(range(5))


@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize(
    "leave, code",
    [(lambda: None, 0), (lambda: fail("a child's"), 1), (lambda: sys.exit(5), 5)],
    ids=["returns", "raises", "exits"],
)
def test_a_child_that_a_callback_forks_ends_where_it_leaves_the_callback(leave, code, capfd):
    ended: list[int] = []

    def fork(_: object) -> None:
        pid = os.fork()
        if pid == 0:
            os.write(2, b"child\n")
            return leave()
        ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    with forkful.Pool(1) as pool:
        first = pool.apply_async(abs, (-1,), callback=fork)
        others = [
            pool.apply_async(abs, (-n,), callback=lambda _: os.write(2, b"other\n"))
            for n in range(3)
        ]
        for result in [first, *others]:
            result.get(20)
    assert ended == [code]
    said = capfd.readouterr().err
    assert (said.count("child\n"), said.count("other\n")) == (1, 3)
    assert ("a child's" in said) == (code == 1)
