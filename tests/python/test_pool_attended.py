"""A pool with unfinished work is attended, whether anybody waits or not."""

from __future__ import annotations

import functools
import os
import threading

import forkful
import pytest
from forkful import _core
from helpers import await_condition, kill_self, run_python


@pytest.fixture
def counter():
    return forkful.Value("i", 0)


def count(counter):
    with counter.get_lock():
        counter.value += 1


def give_much(_):
    return b"r" * 2000


@pytest.mark.parametrize("most", [1, 5])
def test_workers_are_replaced_while_nobody_waits(counter, most):
    with forkful.Pool(2, maxtasksperchild=most) as pool:
        for _ in range(40):
            pool.apply_async(count, (counter,))
        await_condition(lambda: counter.value == 40)


def test_the_dead_are_replaced_while_nobody_waits(counter):
    with forkful.Pool(2) as pool:
        for _ in range(2):
            pool.apply_async(kill_self)
        for _ in range(40):
            pool.apply_async(count, (counter,))
        await_condition(lambda: counter.value == 40)


@pytest.mark.parametrize(
    "begin",
    [
        lambda pool, items: pool.map_async(os._exit, items, chunksize=1),
        lambda pool, items: pool.imap_unordered(os._exit, iter(items)),
    ],
    ids=["map_async", "imap"],
)
def test_jobs_of_every_kind_end_while_nobody_waits(begin):
    with forkful.Pool(2) as pool:
        job = begin(pool, [0, 1, 2])
        await_condition(lambda: job._done)


def test_results_that_nobody_fetches_cost_nothing_that_grows():
    with forkful.Pool(2) as pool:
        most = 0
        for turn in range(20):
            for _ in range(500):
                pool.apply_async(give_much, (0,))
            await_condition(lambda: pool._core.unfinished() == 0)
            used = _core.heap_use()["bytes_used"]
            if turn < 5:
                most = max(most, used)
        assert used < most + (1 << 20)


def test_a_callback_runs_while_nobody_waits():
    done = threading.Event()
    with forkful.Pool(1) as pool:
        pool.apply_async(abs, (1,), callback=lambda _: done.set())
        assert done.wait(20)


def test_a_pool_that_is_only_waited_for_has_no_thread_of_its_own():
    before = threads()
    with forkful.Pool(1) as pool:
        assert pool.apply(abs, (-1,)) == 1
        assert pool.map(abs, [-1]) == [1]
        assert threads() <= before  # one of a test before may be just ending
        before = threads()
        assert pool.apply_async(abs, (-1,)).get(20) == 1
        assert threads() == before + 1
    await_condition(lambda: threads() == before)


def threads():
    return len(os.listdir("/proc/self/task"))


def test_the_attendant_leaves_signals_to_others():
    program = """
        import forkful, os, signal, threading
        from pathlib import Path
        heard = []
        signal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.current_thread()))
        with forkful.Pool(1) as pool:
            assert pool.apply_async(abs, (-1,)).get() == 1
            for thread in os.listdir("/proc/self/task"):
                if int(thread) != os.getpid():
                    while True:
                        lines = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
                        (blocked,) = (line for line in lines if line.startswith("SigBlk"))
                        if int(blocked.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1:
                            break
            os.kill(os.getpid(), signal.SIGUSR1)
            assert heard == [threading.main_thread()]
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_the_attendant_starts_takes_signals():
    with forkful.Pool(1, maxtasksperchild=1) as pool:
        pool.apply_async(abs, (1,))
        await_condition(lambda: pool._core.unfinished() == 0)
        blocked = [pool.apply_async(blocked_signals) for _ in range(3)]
        assert [each.get(20) for each in blocked] == [set()] * 3


def blocked_signals():
    import signal

    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


# --- results that were there ---


def test_a_result_that_was_there_stays_readable_after_the_end():
    with forkful.Pool(2) as pool:
        one = pool.apply_async(abs, (-1,))
        many = pool.map_async(abs, range(-5, 0))
        lazily = pool.imap(abs, range(-5, 0))
        await_condition(lambda: pool._core.unfinished() == 0)
    assert one.get(1) == 1
    assert many.get(1) == [5, 4, 3, 2, 1]
    assert list(lazily) == [5, 4, 3, 2, 1]


def test_a_result_that_nobody_had_collected_stays_readable_after_terminate():
    pool = forkful.Pool(1)
    with forkful.Pool(1) as other:  # whose attendant does not collect for this one
        assert other.apply(abs, (1,)) == 1
    done = forkful.Event()
    results = [pool.apply_async(abs, (-n,)) for n in range(3)]
    pool.apply_async(done.set)
    assert done.wait(20)
    pool.terminate()
    pool.join()
    assert [result.successful() and result.get(0) for result in results] == [0, 1, 2]


def answer_after(event, number):
    assert event.wait(20)
    return number


@pytest.mark.parametrize("how", ["imap", "imap_unordered"])
def test_an_inputs_error_comes_behind_what_was_submitted_before_it(how):
    broken = forkful.Event()

    def numbers():
        yield from range(50)
        broken.set()
        raise LookupError("the input broke")

    seen = []
    with forkful.Pool(2) as pool:
        results = getattr(pool, how)(functools.partial(answer_after, broken), numbers())
        with pytest.raises(LookupError, match="the input broke"):
            for result in results:
                seen.append(result)
        assert sorted(seen) == list(range(50))
        with pytest.raises(StopIteration):
            next(results)


# --- forked children ---


def look_at(result, answers):
    answers.put((result.ready(), "ready"))
    try:
        result.get(0.1)
    except forkful.TimeoutError:
        answers.put("TimeoutError")
    try:
        result.get()
    except RuntimeError as error:
        answers.put(str(error))


def test_an_inherited_result_takes_nothing_from_its_parent():
    answers = forkful.Queue()
    with forkful.Pool(1) as pool:
        go = forkful.Event()
        result = pool.apply_async(go.wait, (20,))
        child = forkful.Process(target=look_at, args=(result, answers))
        child.start()
        assert answers.get(timeout=20) == (False, "ready")
        go.set()
        assert answers.get(timeout=20) == "TimeoutError"
        assert "belongs to the process that made the pool" in answers.get(timeout=20)
        child.join()
        assert result.get(20) is True
