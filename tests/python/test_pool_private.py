"""What programs take from inside a pool: they look how far it is, and make their own workers."""

from __future__ import annotations

import time

import forkful
import pytest
from forkful import pool as pool_module
from forkful.pool import Pool
from helpers import await_condition


def square(number):
    return number * number


def wait_for(event):
    return event.wait()


def fail():
    raise LookupError("in the worker")


def test_what_waits_can_be_counted(context):
    go = context.Event()
    with context.Pool(1) as pool:
        assert not pool._cache
        results = [pool.apply_async(wait_for, (go,)) for _ in range(3)]
        many = pool.map_async(square, range(4), chunksize=1)
        assert set(pool._cache.values()) == {*results, many}
        for queue in (pool._taskqueue, pool._inqueue, pool._outqueue):
            assert queue.qsize() == queue._qsize() == 4
            assert not queue.empty()
        assert many._number_left == 4
        go.set()
        for result in results:
            assert result.get()
        many.wait()
        assert not pool._cache
        assert pool._taskqueue.empty()


def test_missing_workers_can_be_asked_for(context):
    with context.Pool(2) as pool:
        pool.apply(square, (1,))
        pool._pool[0].kill()
        await_condition(lambda: pool._repopulate_pool() is None and all_run(pool))


def all_run(pool):
    return len(pool._pool) == 2 and all(worker.is_alive() for worker in pool._pool)


def test_the_result_of_a_call_is_an_apply_result(context):
    with context.Pool(1) as pool:
        result = pool.apply_async(square, (1,))
        assert type(result).__name__ == "ApplyResult"
        assert pool_module.AsyncResult is pool_module.ApplyResult
        assert repr(result).startswith("<forkful.pool.ApplyResult object at ")


class PoolOfStatic(Pool):
    @staticmethod
    def Process(ctx, *args, **kwds):
        process = Pool.Process(ctx, *args, **kwds)
        process.name = "static-" + process.name
        return process


class PoolOfMethod(Pool):
    def Process(self, *args, **kwds):
        process = super().Process(*args, **kwds)
        process.name = "method-" + process.name
        return process


@pytest.mark.parametrize(("kind", "prefix"), [(PoolOfStatic, "static"), (PoolOfMethod, "method")])
def test_a_subclass_makes_its_workers(context, kind, prefix):
    with kind(2, context=context) as pool:
        names = [pool.apply(name_of_worker) for _ in range(3)]
        assert all(name.startswith(prefix + "-") for name in names)
        pool._pool[0].kill()
        await_condition(lambda: pool._repopulate_pool() is None and all_run(pool))
        assert all(worker.name.startswith(prefix + "-") for worker in pool._pool)


def name_of_worker():
    return forkful.current_process().name


def test_a_subclass_may_put_a_class_of_processes_there(context):
    class Worker(context.Process):
        pass

    class Mine(Pool):
        Process = Worker

    if context.get_start_method() == "fork":
        with Mine(1, context=context) as pool:
            assert type(pool._pool[0]) is Worker
            assert pool.apply(square, (2,)) == 4


class NoTraceback(Pool):
    _wrap_exception = False


def test_a_subclass_may_have_exceptions_without_the_workers_traceback(context):
    with NoTraceback(1, context=context) as pool:
        with pytest.raises(LookupError) as caught:
            pool.apply(fail)
        assert caught.value.__cause__ is None


def test_a_pool_that_makes_its_workers_can_be_forgotten(context):
    import gc
    import weakref

    pool = PoolOfMethod(1, context=context)
    gone = weakref.ref(pool)
    pool.close()
    pool.join()
    del pool
    gc.collect()
    assert gone() is None


def test_a_program_may_wait_until_nothing_is_left(context):
    with context.Pool(2) as pool:
        pool.map_async(square, range(100))
        until = time.monotonic() + 20
        while pool._cache:
            assert time.monotonic() < until
            time.sleep(0.001)  # Why: programs look so
