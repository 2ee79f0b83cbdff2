"""The end of a pool: close, join, terminate, dropping it."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
import time
import weakref

import forkful
import pytest
from alarms import Alarm
from forkful import _core
from forkful._pool.supervise import Workers
from helpers import await_condition, children_of, is_asleep, runs


def pids_of(pool):
    return [worker.pid for worker in pool._pool]


def test_close_and_join_finish_what_was_given():
    pool = forkful.Pool(2)
    results = [pool.apply_async(abs, (-n,)) for n in range(500)]
    mapped = pool.map_async(abs, range(-500, 0))
    pids = pids_of(pool)
    pool.close()
    pool.join()
    assert [result.get(0) for result in results] == list(range(500))
    assert mapped.get(0) == list(range(500, 0, -1))
    assert not any(runs(pid) for pid in pids)
    assert [(worker.pid, worker.exitcode) for worker in pool._pool] == [(pid, 0) for pid in pids]


@pytest.mark.parametrize("end", ["close", "terminate"])
@pytest.mark.parametrize("most_tasks", [None, 1])
def test_a_pool_that_has_ended_shows_its_last_workers(end, most_tasks):
    pool = forkful.Pool(2, maxtasksperchild=most_tasks)
    results = pool.map_async(abs, range(-9, 0), 1)
    if end == "terminate":
        results.wait(20)
    getattr(pool, end)()
    pool.join()
    size = len(pool._pool)
    # Of those that were just being replaced, one may have had no successor yet.
    assert size == 2 or (end == "terminate" and most_tasks and size == 1)
    assert repr(pool) == f"<forkful.pool.Pool state={end.upper()} pool_size={size}>"
    assert not any(worker.is_alive() for worker in pool._pool)
    assert not set(pool._pool) & set(forkful.active_children())


def test_nothing_can_be_given_to_a_pool_that_ended():
    closed, terminated, left = forkful.Pool(1), forkful.Pool(1), forkful.Pool(1)
    closed.close()
    terminated.terminate()
    with left:
        pass
    for pool in (closed, terminated, left):
        for use in (
            lambda p=pool: p.apply(abs, (1,)),
            lambda p=pool: p.apply_async(abs, (1,)),
            lambda p=pool: p.map(abs, [1]),
            lambda p=pool: p.starmap_async(abs, [(1,)]),
            lambda p=pool: p.imap(abs, [1]),
            lambda p=pool: p.imap_unordered(abs, iter([1])),
            pool.__enter__,
        ):
            with pytest.raises(ValueError, match="Pool not running"):
                use()
        pool.close()
        pool.join()
        pool.terminate()
        pool.join()


def test_join_of_a_running_pool_is_refused():
    with forkful.Pool(1) as pool, pytest.raises(ValueError, match="still running"):
        pool.join()


def stay(_):
    signal.pause()


def test_terminate_ends_workers_in_the_middle_of_a_task():
    pool = forkful.Pool(2)
    results = [pool.apply_async(signal.pause) for _ in range(5)]
    mapped = pool.map_async(stay, range(5))
    pids = pids_of(pool)
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 5
    assert not any(runs(pid) for pid in pids)
    for result in (*results, mapped):
        with pytest.raises(forkful.PoolTerminated, match="terminated before"):
            result.get(10)


def test_terminate_frees_a_thread_that_waits():
    pool = forkful.Pool(1)
    result = pool.apply_async(signal.pause)
    caught: list[BaseException] = []

    def wait():
        try:
            result.get()
        except forkful.PoolTerminated as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    pool.terminate()
    thread.join(10)
    assert not thread.is_alive()
    assert len(caught) == 1


def ignore_sigterm(event):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    event.set()
    signal.pause()


def test_terminate_kills_a_worker_that_will_not_go():
    before = set(children_of(os.getpid()))
    event = forkful.Event()
    pool = forkful.Pool(1)
    pool.apply_async(ignore_sigterm, (event,))
    assert event.wait(10)
    began = time.monotonic()
    pool.terminate()
    assert time.monotonic() - began < 10
    assert set(children_of(os.getpid())) == before


def test_terminate_ends_a_stopped_worker():
    pool = forkful.Pool(1)
    pid = pids_of(pool)[0]
    os.kill(pid, signal.SIGSTOP)
    pool.terminate()
    pool.join()
    assert not runs(pid)


def test_terminate_may_be_called_at_any_moment(seeded):
    for _ in range(15):
        pool = forkful.Pool(2, maxtasksperchild=2)
        results = pool.imap_unordered(abs, range(10_000), 3)
        callbacks: list[int] = []
        called = [pool.apply_async(abs, (n,), callback=callbacks.append) for n in range(20)]
        time.sleep(seeded.uniform(0, 0.02))  # Why: the moment is the test
        pool.terminate()
        pool.join()
        for result in called:
            result.wait(10)
            assert result.ready()
        del results


def test_a_dropped_pool_warns_and_ends_its_workers():
    pool = forkful.Pool(2)
    pids = pids_of(pool)
    alive = weakref.ref(pool)
    with pytest.warns(ResourceWarning, match=r"unclosed running .*Pool state=RUN pool_size=2"):
        del pool
        gc.collect()
    gc.collect()
    assert alive() is None
    await_condition(lambda: not any(runs(pid) for pid in pids))


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_a_pool_that_was_ended_is_dropped_in_silence(end):
    pool = forkful.Pool(1)
    pool.map(abs, [1])
    getattr(pool, end)()
    pool.join()
    alive = weakref.ref(pool)
    del pool
    gc.collect()
    assert alive() is None


def test_a_result_keeps_its_pool_until_it_is_there():
    def use():
        with pytest.warns(ResourceWarning) as seen:
            result = forkful.Pool(1).map_async(abs, [-1, -2])
            assert result.get(20) == [1, 2]
            await_condition(lambda: len(seen))
        return result

    result = use()
    await_condition(lambda: not forkful.active_children())
    assert result.get() == [1, 2]


def test_arguments_and_results_are_not_kept():
    class Thing:
        pass

    things = [Thing() for _ in range(4)]
    alive = [weakref.ref(thing) for thing in things]
    with forkful.Pool(1) as pool:
        result = pool.map_async(id, [1] * 3)
        result.thing = things.pop()
        assert len(result.get(10)) == 3
        with pytest.raises((AttributeError, TypeError)):
            pool.map(id, things)  # a local class does not pickle
        del things, result
        pool.apply(abs, (1,))
        gc.collect()
        assert [ref() for ref in alive] == [None] * 4


def test_pools_leave_no_memory_and_no_descriptor(no_descriptor_stays_behind):
    def use_one():
        with forkful.Pool(2) as pool:
            pool.map(abs, range(1000))
            pool.apply_async(abs, (1,), callback=lambda _: None).wait(10)
            pool.apply(len, (bytes(1 << 20),))

    for _ in range(3):
        use_one()
    gc.collect()
    used = _core.heap_use()["bytes_used"]
    for _ in range(10):
        use_one()
    gc.collect()
    assert _core.heap_use()["bytes_used"] - used < 1 << 18


def test_a_pool_whose_worker_was_once_refused_leaves_nothing(monkeypatch):
    start = Workers.start
    answers = iter([start, None, start])

    def start_or_not(self, client, slot):
        answer = next(answers, start)
        if answer is None:
            raise BlockingIOError(errno.EAGAIN, "no process")
        return answer(self, client, slot)

    def clients():
        gc.collect()
        return sum(type(each) is _core.PoolClient for each in gc.get_objects())

    monkeypatch.setattr(Workers, "start", start_or_not)
    before = clients()
    with forkful.Pool(2) as pool:
        assert pool.map(abs, range(-4, 0)) == [4, 3, 2, 1]
    del pool
    assert clients() == before


def test_waiting_workers_sleep():
    with forkful.Pool(2) as pool:
        pool.map(abs, range(100))
        for pid in pids_of(pool):
            await_condition(lambda pid=pid: is_asleep(pid))


# --- an end that nothing holds up ---


def ignore_end(_=None):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return os.getpid()


def block_all_signals(_=None):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return os.getpid()


@pytest.mark.parametrize("prepare", [ignore_end, block_all_signals])
def test_terminate_ends_workers_that_do_not_hear(prepare):
    pool = forkful.Pool(2)
    pool.map(prepare, range(10), chunksize=1)
    pids = pids_of(pool)
    busy = [pool.apply_async(signal.pause) for _ in range(2)]
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 10
    assert not any(runs(pid) for pid in pids)
    for each in busy:
        with pytest.raises(forkful.PoolTerminated):
            each.get(0)


def test_terminate_ends_workers_that_are_stopped():
    pool = forkful.Pool(3)
    result = pool.map_async(bytes, [5000] * 100_000, chunksize=1)
    pids = pids_of(pool)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 10
    assert not any(runs(pid) for pid in pids)
    with pytest.raises(forkful.PoolTerminated):
        result.get(0)


def test_an_interrupt_ends_the_grace_of_terminate():
    pool = forkful.Pool(1)
    (pid,) = pids_of(pool)
    pool.apply(ignore_end)
    pool.apply_async(signal.pause)
    await_condition(lambda: pool._core.unfinished() == 1 and is_asleep(pid))
    with Alarm() as alarm, pytest.raises(KeyboardInterrupt):
        alarm.after(0.05, interrupt)
        pool.terminate()
    pool.join()
    assert not runs(pid)


def interrupt():
    raise KeyboardInterrupt


def test_a_forked_child_ends_nothing_of_its_parents_pool():
    with forkful.Pool(2) as pool:
        results = pool.imap(abs, range(-3000, 0))  # more than is drawn at once
        before = pids_of(pool)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                pool.close()
                pool.join()
            except ValueError as error:
                code = 0 if "another process" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert list(results) == list(range(3000, 0, -1))
        assert pool.map(abs, [-5, -6], chunksize=1) == [5, 6]
        assert pids_of(pool) == before
