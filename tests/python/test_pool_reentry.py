"""Calls of a pool from within a call of it: handlers, unpickling, finalizers, callbacks."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading

import forkful
import pytest
from alarms import Alarm
from helpers import children_of, run_python


@pytest.fixture
def pool():
    with forkful.Pool(2) as pool:
        yield pool


@pytest.fixture
def alarm():
    """Calls a function in a signal's handler, after a moment."""
    with Alarm() as alarm:
        yield alarm


class Ending:
    """An input that ends the pool which is about to draw it, and then gives its items."""

    def __init__(self, pool, end, items):
        self.end = getattr(pool, end)
        self.items = items

    def __iter__(self):
        self.end()
        return iter(self.items)


def give_first_after(event, number):
    """The number, but 0 only when the event is set."""
    assert number or event.wait(20)
    return number


@pytest.mark.parametrize(
    "use",
    [
        lambda pool: pool.apply(abs, (-7,)),
        lambda pool: pool.apply_async(abs, (-7,)).get(20),
        lambda pool: pool.map(abs, [-7])[0],
        lambda pool: next(pool.imap(abs, [-7])),
    ],
    ids=["apply", "get", "map", "imap"],
)
def test_a_handler_may_use_the_pool_that_its_thread_waits_for(pool, alarm, use):
    answers, called = [], forkful.Event()
    alarm.after(0.1, lambda: (called.set(), answers.append(use(pool))))
    give = functools.partial(give_first_after, called)
    assert pool.map(give, range(10), chunksize=1) == list(range(10))
    assert answers == [7]


_DRAWING = {
    "map": lambda pool, items: pool.map(abs, items),
    "map_async": lambda pool, items: pool.map_async(abs, items).get(20),
    "imap": lambda pool, items: list(pool.imap(abs, items)),
    "imap_unordered": lambda pool, items: sorted(pool.imap_unordered(abs, items)),
}


@pytest.mark.parametrize("call", _DRAWING)
def test_a_call_whose_input_terminates_the_pool_fails(pool, call):
    with pytest.raises(forkful.PoolTerminated):
        _DRAWING[call](pool, Ending(pool, "terminate", [-1, 2]))


@pytest.mark.parametrize("call", _DRAWING)
def test_a_call_whose_input_closes_the_pool_is_answered(pool, call):
    assert _DRAWING[call](pool, Ending(pool, "close", [-1, 2])) == [1, 2]
    pool.join()


def test_an_iterator_whose_input_gives_nothing_ends_with_its_pool(pool):
    never = threading.Event()

    def wait():
        never.wait()
        yield 1

    results = pool.imap(abs, wait())
    pool.terminate()
    with pytest.raises(forkful.PoolTerminated):
        next(results)
    never.set()


def test_handlers_may_draw_inputs_of_their_own_at_any_time(pool, alarm):
    answers = []

    def again():
        answers.append(list(pool.imap(abs, iter([-1, 2]))))
        alarm.after(0.001, again)

    alarm.after(0.001, again)
    while len(answers) < 50:
        assert list(pool.imap(abs, iter([-3]))) == [3]
    alarm.stop()
    assert all(answer == [1, 2] for answer in answers)


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_a_handler_may_end_the_pool_that_its_thread_waits_for(end):
    program = f"""
        import forkful, signal, sys
        go = forkful.Event()
        def wait_for_the_handler(number):
            go.wait()
            return number
        pool = forkful.Pool(2)
        def stop(*_):
            signal.setitimer(signal.ITIMER_REAL, 0)
            go.set()
            pool.{end}()
            pool.join()
            sys.exit(5)
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        pool.map(wait_for_the_handler, range(10), chunksize=1)
    """
    assert run_python(program).returncode == 5


def test_a_storm_of_handlers_that_use_the_pool_is_answered(pool):
    answers = []
    before = signal.signal(signal.SIGALRM, lambda *_: answers.append(pool.apply(abs, (-1,))))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        for _ in range(20):
            assert pool.map(abs, range(-500, 0), chunksize=5) == list(range(500, 0, -1))
            assert list(pool.imap(abs, iter([-1, -2]))) == [1, 2]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(answers) <= {1}


_pool = None


class UsesThePoolWhenRead:
    def __reduce__(self):
        return _ask_the_pool, (os.getpid(),)


def _ask_the_pool(sender):
    return _pool.apply(abs, (-5,)) if sender != os.getpid() else None


def give_one(_=None):
    return UsesThePoolWhenRead()


class UsesThePoolWhenDropped:
    def __init__(self, pool, answers):
        self.pool, self.answers = pool, answers

    def __del__(self):
        self.answers.append(self.pool.apply(abs, (-6,)))


def test_a_result_may_use_the_pool_while_it_is_read():
    global _pool
    with forkful.Pool(2) as _pool:
        assert _pool.apply(give_one) == 5
        assert _pool.map(give_one, range(20), chunksize=1) == [5] * 20
        assert list(_pool.imap_unordered(give_one, range(20))) == [5] * 20
        asynchronous = [_pool.apply_async(give_one) for _ in range(20)]
        assert [each.get(20) for each in asynchronous] == [5] * 20
    _pool = None


def test_a_finalizer_may_use_the_pool(pool):
    answers = []
    held = [UsesThePoolWhenDropped(pool, answers) for _ in range(5)]
    result = pool.map_async(abs, range(-100, 0), chunksize=1, callback=lambda _: held.clear())
    assert result.get(20) == list(range(100, 0, -1))
    assert answers == [6] * 5


def test_threads_may_use_a_pool_whose_results_use_it():
    global _pool
    with forkful.Pool(2) as _pool:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(_pool.map(give_one, range(10), 1)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert answers == [[5] * 10] * 4
    _pool = None


def test_a_handler_may_wait_while_a_worker_is_replaced(alarm):
    with forkful.Pool(1, maxtasksperchild=1) as pool:
        answers, called = [], forkful.Event()
        alarm.after(0.05, lambda: (called.set(), answers.append(pool.apply(abs, (-7,)))))
        give = functools.partial(give_first_after, called)
        assert pool.map(give, range(5), chunksize=1) == list(range(5))
        assert answers == [7]


class Calls:
    """An item that calls a function while it is pickled, as a handler might that comes then."""

    def __init__(self, number, function):
        self.number = number
        self.function = function

    def __reduce__(self):
        function, self.function = self.function, None
        if function is not None:
            function()
        return int, (self.number,)


def interrupt():
    raise KeyboardInterrupt


COUNT = 4000  # more than is drawn at once


@pytest.mark.parametrize("chunksize", [1, 7])
def test_an_interrupt_while_the_input_is_drawn_loses_no_item(pool, chunksize):
    count = COUNT * chunksize
    middle = count // 2  # the first part is drawn before there is an iterator
    items = [
        Calls(n, interrupt if n in (middle, middle + 1, count - 1) else None) for n in range(count)
    ]
    results = pool.imap(int, items, chunksize)
    got = []
    interrupts = 0
    while len(got) < count:
        try:
            got.append(next(results))
        except KeyboardInterrupt:
            interrupts += 1
    assert got == list(range(count))
    assert interrupts == 3
    assert list(results) == []


@pytest.mark.parametrize("chunksize", [1, 7])
def test_an_order_is_kept_though_the_pool_is_closed_while_the_input_is_drawn(chunksize):
    pool = forkful.Pool(2)
    items = [Calls(n, pool.close if n in (5, 2000) else None) for n in range(COUNT)]
    results = pool.imap(int, items, chunksize)
    assert list(results) == list(range(COUNT))
    pool.join()


def test_an_input_that_closes_its_pool_and_raises_is_drawn_to_its_end():
    def close_and_interrupt():
        pool.close()
        interrupt()

    pool = forkful.Pool(2)
    items = [Calls(n, close_and_interrupt if n == 2000 else None) for n in range(COUNT)]
    results = pool.imap(int, items)
    got = []
    with pytest.raises(KeyboardInterrupt):
        got.extend(iter(results.next, None))
    pool.join()
    assert got[0] == 0
    assert sorted([*got, *results])[-1] == COUNT - 1


def test_a_wait_for_what_the_same_thread_hands_in_is_an_error(pool):
    def wait(function):
        with pytest.raises(RuntimeError, match="handing in a task") as caught:
            function()
        errors.append(caught.value)

    errors: list[BaseException] = []
    own = forkful.Pool(1)

    def close_and_join():
        own.close()
        own.join()

    assert own.apply_async(int, (Calls(3, lambda: wait(close_and_join)),)).get(20) == 3
    own.join()
    items = [Calls(n, None) for n in range(COUNT)]
    results = pool.imap(int, items)
    items[2000].function = lambda: wait(lambda: [next(results) for _ in range(COUNT)])
    assert sorted(results)[-1] == COUNT - 1
    assert len(errors) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["apply", "apply_async", "map", "map_async", "imap"])
def test_an_interrupt_while_a_task_is_pickled_is_the_callers(call, error):
    def stop():
        raise error

    seen: list[object] = []
    pool = forkful.Pool(2)
    with pytest.raises(error):
        if call == "apply":
            pool.apply(int, (Calls(1, stop),))
        elif call == "apply_async":
            pool.apply_async(int, (Calls(1, stop),), callback=seen.append)
        elif call == "imap":
            pool.imap(int, [Calls(1, None), Calls(2, stop)])
        else:
            getattr(pool, call)(int, [Calls(1, None), Calls(2, stop)], chunksize=1)
    assert pool.apply(abs, (-3,)) == 3
    pool.close()
    pool.join()
    assert seen == []


class Rung(Exception):
    """What a handler raises."""


def test_a_worker_is_known_though_a_handler_raises_while_it_is_started(monkeypatch):
    def ring(*_):
        raise Rung

    def fork(*plan):
        pid = real_fork(*plan)
        if pid != 0 and not rung:
            rung.append(pid)
            os.kill(os.getpid(), signal.SIGUSR1)
        return pid

    rung: list[int] = []
    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with forkful.Pool(2) as pool:
            pool.map(abs, range(2))
            real_fork = forkful._fork.fork
            monkeypatch.setattr(forkful._fork, "fork", fork)
            os.kill(pool._pool[0].pid, signal.SIGKILL)
            with pytest.raises(Rung):
                while True:
                    pool.apply(abs, (1,))
            for _ in range(20):
                assert pool.map(abs, range(40), chunksize=1) == list(range(40))
            assert rung[0] in [worker.pid for worker in pool._pool]
            assert len(pool._pool) == 2
        assert rung[0] not in children_of(os.getpid())
    finally:
        signal.signal(signal.SIGUSR1, before)


# Why: what a handler raises within the functions that logging has registered for a fork is lost.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_storm_of_alarms_and_kills_leaves_the_pool_at_work(seeded):
    def ring():
        raise Rung

    answered = 0
    with Alarm() as alarm, forkful.Pool(2) as pool:
        while answered < 100:
            with contextlib.suppress(Rung, forkful.WorkerDied, ProcessLookupError):
                os.kill(seeded.choice(pool._pool).pid, signal.SIGKILL)
            with contextlib.suppress(Rung, forkful.WorkerDied):
                alarm.after(seeded.uniform(0.0005, 0.006), ring)
                pool.map(abs, range(20), chunksize=1)
                alarm.stop()
            with contextlib.suppress(forkful.WorkerDied):
                assert pool.map_async(abs, range(20), chunksize=1).get(20) == list(range(20))
                answered += 1
