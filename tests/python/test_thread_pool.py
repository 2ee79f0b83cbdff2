"""ThreadPool: the pool's interface on threads."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
import traceback
import warnings
import weakref

import forkful
import forkful.dummy
import pytest
from forkful import dummy
from forkful import pool as pool_module
from forkful.pool import ThreadPool
from helpers import await_condition, run_python


@pytest.fixture
def pool():
    with ThreadPool(3) as pool:
        yield pool
    pool.join()


@pytest.fixture(autouse=True)
def no_thread_stays_behind():
    before = set(threading.enumerate())
    yield
    gc.collect()
    await_condition(lambda: not set(threading.enumerate()) - before)


def square(number):
    return number * number


def fail(text):
    raise LookupError(text)


def test_calls_and_maps_give_what_the_function_gives(pool):
    assert pool.apply(pow, (2,), {"exp": 3}) == 8
    assert pool.apply_async(square, (7,)).get() == 49
    assert pool.map(square, range(100)) == [square(n) for n in range(100)]
    assert pool.map(square, iter(range(10)), 3) == [square(n) for n in range(10)]
    assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert pool.starmap_async(pow, [(2, 3)]).get() == [8]
    assert list(pool.imap(square, iter(range(100)), 7)) == [square(n) for n in range(100)]
    assert sorted(pool.imap_unordered(square, range(100))) == [square(n) for n in range(100)]
    for empty in ([], iter([]), range(0)):
        assert pool.map(square, empty) == []
        assert list(pool.imap(square, empty)) == []
        assert list(pool.imap_unordered(square, empty)) == []


def test_nothing_is_pickled(pool):
    unpicklable = lambda lock: lock  # noqa: E731
    lock = threading.Lock()
    assert pool.map(unpicklable, [lock]) == [lock]
    assert pool.apply(threading.get_ident) != threading.get_ident()
    assert pool.apply(os.getpid) == os.getpid()


def test_it_is_a_pool_and_its_results_are_those_of_pools(pool):
    assert isinstance(pool, pool_module.Pool)
    assert repr(pool) == "<forkful.pool.ThreadPool state=RUN pool_size=3>"
    result = pool.apply_async(square, (1,))
    several = pool.map_async(square, [1])
    assert isinstance(result, pool_module.ApplyResult)
    assert isinstance(several, pool_module.MapResult)
    assert isinstance(pool.imap(square, [1]), pool_module.IMapIterator)
    assert repr(result).startswith("<forkful.pool.ApplyResult object at ")
    assert repr(several).startswith("<forkful.pool.MapResult object at ")
    several.wait()
    assert (pool._processes, len(pool._pool), pool._state) == (3, 3, pool_module.RUN)
    with pytest.raises(NotImplementedError):
        pool.__reduce__()


def test_a_result_tells_how_far_it_is(pool):
    go = threading.Event()
    result = pool.apply_async(go.wait)
    many = pool.map_async(lambda n: go.wait(), range(4), chunksize=1)
    assert not result.ready()
    assert many._number_left == 4
    assert set(pool._cache.values()) == {result, many}
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(forkful.TimeoutError):
        result.get(timeout=0.01)
    result.wait(0)
    go.set()
    result.wait()
    assert result.ready()
    assert result.successful()
    assert many.get() == [True] * 4
    assert many._number_left == 0
    assert not pool._cache


def test_an_exception_comes_as_it_is_with_its_traceback(pool):
    for call in (
        lambda: pool.apply(fail, ("x",)),
        lambda: pool.map(fail, ["x"]),
        lambda: pool.map_async(fail, ["x"]).get(),
        lambda: next(pool.imap(fail, ["x"])),
        lambda: next(pool.imap_unordered(fail, iter(["x"]))),
    ):
        with pytest.raises(LookupError, match="x") as caught:
            call()
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert frames[-1].name == "fail"
        assert caught.value.__cause__ is None


def test_other_items_are_run_where_one_fails(pool):
    ran = []

    def run(item):
        ran.append(item)
        if item == 2:
            raise LookupError(item)

    with pytest.raises(LookupError):
        pool.map(run, range(10), chunksize=5)
    assert sorted(ran) == list(range(10))
    iterator = pool.imap(lambda n: 1 // n, [1, 0, 1])
    assert next(iterator) == 1
    with pytest.raises(ZeroDivisionError):
        next(iterator)
    assert list(iterator) == [1]


def test_items_of_one_part_come_to_their_own_results_and_errors(pool):
    called = []

    def run(item):
        called.append(item)
        if item % 3 == 1:
            raise StopIteration(item)
        return item

    for results in (pool.imap(run, range(6), 6), pool.imap_unordered(run, iter(range(6)), 6)):
        got = []
        for _ in range(6):
            try:
                got.append(results.next(timeout=20))
            except StopIteration as error:
                got.append(f"stopped {error.value}")
        assert got == [0, "stopped 1", 2, 3, "stopped 4", 5]
        with pytest.raises(StopIteration):
            next(results)
    with pytest.raises(StopIteration) as caught:
        pool.map(run, range(6), 6)
    assert caught.value.value == 1
    assert sorted(called) == sorted(list(range(6)) * 3)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_worker_lives_on_whatever_its_function_raises(error):
    def leave():
        raise error("out")

    with ThreadPool(1) as pool:
        with pytest.raises(error):
            pool.apply(leave)
        assert pool.apply(square, (2,)) == 4
        assert all(worker.is_alive() for worker in pool._pool)


def test_callbacks_come_before_the_result_one_after_the_other(pool, capfd):
    seen = []

    def note(value):
        time.sleep(0.01)  # Why: so long the result must not be there
        seen.append((value, threading.current_thread().name))

    results = [pool.apply_async(square, (n,), callback=note) for n in range(3)]
    for result in results:
        result.wait()
        assert result.get() in [value for value, _ in seen]
    assert {name for _, name in seen} == {"ThreadPool-callbacks"}
    failed = pool.apply_async(fail, ("x",), callback=seen.append, error_callback=note)
    with pytest.raises(LookupError):
        failed.get()
    assert isinstance(seen[-1][0], LookupError)
    mapped = pool.map_async(square, [1, 2], callback=note)
    assert mapped.get() == seen[-1][0] == [1, 4]
    assert pool.apply_async(square, (3,), callback=fail).get() == 9
    assert "LookupError: 9" in capfd.readouterr().err


def test_a_callback_may_wait_for_the_pool():
    with ThreadPool(1) as pool:
        inner = []
        pool.apply_async(square, (2,), callback=lambda n: inner.append(pool.apply(square, (n,))))
        await_condition(lambda: inner == [16])


def test_a_task_may_hand_in_tasks(pool):
    assert pool.apply(lambda: pool.apply_async(square, (3,)).get()) == 9


@pytest.mark.parametrize("ordered", [True, False])
def test_imap_draws_its_input_a_bounded_distance_ahead(pool, ordered):
    drawn = []

    def numbers():
        for n in itertools.count():
            drawn.append(n)
            yield n

    results = (pool.imap if ordered else pool.imap_unordered)(square, numbers())
    assert next(results) >= 0
    await_condition(lambda: len(drawn) > 900)
    assert len(drawn) <= 1030
    for _ in range(2000):
        next(results)
    assert 2000 < len(drawn) <= 3100
    pool.terminate()


def test_imap_waits_for_a_slow_result_as_long_as_it_is_told(pool):
    go = threading.Event()
    results = pool.imap(lambda n: go.wait(), range(2))
    with pytest.raises(forkful.TimeoutError):
        results.next(timeout=0.01)
    go.set()
    assert results.next(timeout=10) is True
    assert list(results) == [True]
    with pytest.raises(StopIteration):
        next(results)


def broken_input(count):
    yield from range(count)
    raise LookupError("input")


@pytest.mark.parametrize(("chunk", "given"), [(1, 7), (2, 6), (4, 4), (8, 0)])
def test_what_an_input_raises_comes_after_the_results_of_whole_tasks(pool, chunk, given):
    results = pool.imap(square, broken_input(7), chunk)
    assert [next(results) for _ in range(given)] == [square(n) for n in range(given)]
    with pytest.raises(LookupError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    with pytest.raises(LookupError):
        pool.map(square, broken_input(7), chunk)


def test_an_initializer_runs_in_each_thread():
    seen = threading.local()
    with ThreadPool(2, setattr, (seen, "name", "set")) as pool:
        assert pool.map(lambda _: seen.name, range(20)) == ["set"] * 20


def test_an_initializer_that_raises_breaks_the_pool(capfd):
    pool = ThreadPool(2, fail, ("at the start",))
    with pytest.raises(forkful.BrokenProcessPool, match="initializer raised LookupError"):
        while True:
            pool.apply(square, (1,))
    pool.close()
    pool.join()
    assert capfd.readouterr().err.count("LookupError: at the start") == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0,), ValueError),
        ((-1,), ValueError),
        (("2",), TypeError),
        ((1, 3), TypeError),
        ((1, int, 3), TypeError),
    ],
)
def test_what_a_pool_cannot_be_made_of_is_refused(arguments, error):
    with pytest.raises(error):
        ThreadPool(*arguments)


def test_what_a_call_cannot_be_made_of_is_refused(pool):
    with pytest.raises(TypeError):
        pool.map(square, 3)
    for call in (pool.map, pool.imap):
        with pytest.raises(ValueError, match="Chunksize"):
            call(square, [1], 0)
    with pytest.raises(TypeError):
        pool.imap(square, 3)
    with pytest.raises(ValueError, match="cannot be ended"):
        pool.apply_async(square, (1,), timeout=1)
    assert pool.apply(square, (2,)) == 4
    pool.close()
    pool.join()


def test_tasks_and_results_are_let_go(pool):
    class Thing:
        pass

    things = [Thing() for _ in range(10)]
    watched = [weakref.ref(thing) for thing in things]
    pool.map(lambda thing: thing, things)
    list(pool.imap(lambda thing: thing, things))
    del things
    await_condition(lambda: gc.collect() is not None and not any(ref() for ref in watched))


def test_a_pool_lives_while_a_result_is_waited_for():
    go = threading.Event()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        result = ThreadPool(1).map_async(lambda n: go.wait(), [1])
        gc.collect()
        go.set()
        assert result.get() == [True]
        gc.collect()


def test_a_subclass_may_make_its_threads():
    class Worker(dummy.Process):
        pass

    class Mine(ThreadPool):
        @staticmethod
        def Process(ctx, *args, **kwds):
            return Worker(*args, **kwds)

    with Mine(2) as pool:
        assert {type(worker) for worker in pool._pool} == {Worker}
        assert pool.map(square, [3]) == [9]
    pool.join()


def test_a_forked_child_can_use_one_of_its_own():
    done = run_python("""
        import forkful, os
        from forkful.pool import ThreadPool
        pool = ThreadPool(1)
        def child():
            try:
                pool.apply(abs, (1,))
            except ValueError as error:
                assert "another process" in str(error)
            with ThreadPool(1) as own:
                assert own.apply(abs, (-1,)) == 1
        with __import__("warnings").catch_warnings():
            __import__("warnings").simplefilter("ignore")
            started = forkful.get_context("fork").Process(target=child)
            started.start()
        started.join()
        assert started.exitcode == 0
        pool.terminate()
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_that_a_task_forks_ends_when_it_comes_out_of_it():
    done = run_python("""
        import os
        from forkful.pool import ThreadPool
        def fork():
            with __import__("warnings").catch_warnings():
                __import__("warnings").simplefilter("ignore")
                return os.fork()
        with ThreadPool(1) as pool:
            pid = pool.apply(fork)
            assert os.waitpid(pid, 0)[1] == 0
            print("once", flush=True)
        pool.join()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")


def test_a_child_that_an_item_forks_does_not_run_the_items_after_it():
    done = run_python("""
        import os
        from forkful.pool import ThreadPool
        def run(item):
            print(item, flush=True)
            if item != 1:
                return None
            with __import__("warnings").catch_warnings():
                __import__("warnings").simplefilter("ignore")
                pid = os.fork()
            if pid == 0:
                raise SystemExit(5)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with ThreadPool(1) as pool:
            print(pool.map(run, range(4), 4))
        pool.join()
    """)
    expected = "0\n1\n2\n3\n[None, 5, None, None]\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_late_names_of_the_module_are_there():
    assert pool_module.mapstar((square, [1, 2])) == [1, 4]
    assert pool_module.starmapstar((pow, [(2, 3)])) == [8]
    with pytest.raises(LookupError):
        pool_module._helper_reraises_exception(LookupError())
    assert pool_module.TimeoutError is forkful.TimeoutError
    assert "ThreadPool" in dir(pool_module)
    with pytest.raises(AttributeError, match="no attribute 'teapot'"):
        _ = pool_module.teapot


def test_an_exception_with_its_traceback_is_rebuilt():
    import pickle

    try:
        fail("x")
    except LookupError as error:
        wrapped = pool_module.ExceptionWithTraceback(error, error.__traceback__)
    rebuilt = pickle.loads(pickle.dumps(wrapped))
    assert isinstance(rebuilt, LookupError)
    assert isinstance(rebuilt.__cause__, pool_module.RemoteTraceback)
    assert "in fail" in str(rebuilt.__cause__)


def test_the_standard_worker_can_be_run_between_queues():
    tasks, answers = dummy.Queue(), dummy.Queue()
    tasks.put((1, 0, square, (3,), {}))
    tasks.put((1, 1, fail, ("x",), {}))
    tasks.put(None)
    pool_module.worker(tasks, answers, wrap_exception=True)
    assert answers.get() == (1, 0, (True, 9))
    job, place, (done, error) = answers.get()
    assert (job, place, done) == (1, 1, False)
    assert isinstance(error, pool_module.ExceptionWithTraceback)
