"""The executor's calls and futures: as those of concurrent.futures, whoever waits for them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
import weakref

import executor_tasks as tasks
import forkful
import pytest
from forkful.futures import BrokenProcessPool, ProcessPoolExecutor, _RemoteTraceback
from helpers import await_condition, run_python


@pytest.fixture
def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor
        assert executor.submit(tasks.add, 1, b=2).result() == 3


def test_a_future_has_what_its_call_returns(executor):
    future = executor.submit(tasks.add, 1, b=2)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(20) == 3 == future.result()
    assert future.done()
    assert not future.running()
    assert not future.cancelled()
    assert future.exception() is None
    assert "finished returned int" in repr(future)


def test_functions_take_any_keywords(executor):
    with pytest.raises(TypeError):
        executor.submit(fn=tasks.add)
    future = executor.submit(dict, self=1, fn=2)
    assert future.result() == {"self": 1, "fn": 2}


def test_an_exception_has_its_traceback_in_the_worker(executor):
    future = executor.submit(tasks.raise_it, KeyError("which"))
    with pytest.raises(KeyError, match="which") as caught:
        future.result()
    assert type(caught.value.__cause__) is _RemoteTraceback
    assert "raise error" in str(caught.value.__cause__)
    assert future.exception() is caught.value
    assert "raised KeyError" in repr(future)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_call_may_raise_anything(executor, error):
    pid = executor.submit(tasks.get_pid)
    with pytest.raises(type(error)):
        executor.submit(tasks.raise_it, error).result()
    assert pid.result() in executor._processes


def test_what_cannot_be_pickled_fails_its_future(executor):
    future = executor.submit(tasks.add, tasks.WrittenBadly())
    with pytest.raises(ValueError, match="cannot be written"):
        future.result()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        executor.submit(tasks.return_lambda).result()
    with pytest.raises(ValueError, match="cannot be written"):
        executor.submit(tasks.return_bad, tasks.WrittenBadly).result()


def test_an_exception_that_cannot_be_made_again_is_told(executor):
    with pytest.raises(Exception, match="OddError"):
        executor.submit(tasks.raise_odd).result()


@pytest.mark.parametrize("error", [ValueError("cannot be read"), SystemExit(1)])
@pytest.mark.parametrize("which", ["task", "result"])
def test_what_cannot_be_unpickled_breaks_the_executor(context, error, which):
    executor = ProcessPoolExecutor(2, mp_context=context)
    bad = tasks.ReadBadly(error)
    sent = (tasks.add, bad) if which == "task" else (tasks.return_bad, tasks.ReadBadly)
    with pytest.raises(BrokenProcessPool, match="could not be unpickled") as caught:
        executor.submit(*sent).result()
    assert isinstance(caught.value.__cause__, SystemExit | ValueError)
    with pytest.raises(BrokenProcessPool):
        executor.submit(tasks.add, 1)
    executor.shutdown()


def test_as_completed_and_wait_take_the_futures(executor):
    futures = [executor.submit(tasks.add, i, i) for i in range(300)]
    mixed = [*futures, executor.submit(tasks.raise_it, ValueError("one"))]
    assert sum(f.result() for f in concurrent.futures.as_completed(futures)) == 89700
    done, rest = concurrent.futures.wait(mixed, timeout=20)
    assert (len(done), len(rest)) == (301, 0)
    slow = executor.submit(tasks.sleep_and_return, 0.3)
    quick = executor.submit(tasks.add, 1)
    done, rest = concurrent.futures.wait([slow, quick], return_when="FIRST_COMPLETED")
    assert (done, rest) == ({quick}, {slow})
    done, rest = concurrent.futures.wait([slow], timeout=0)
    assert (done, rest) == (set(), {slow})
    with pytest.raises(concurrent.futures.TimeoutError):
        list(concurrent.futures.as_completed([executor.submit(tasks.sleep_and_return, 0.3)], 0))


def test_ten_thousand_futures(executor):
    futures = [executor.submit(tasks.add, i) for i in range(10_000)]
    assert [f.result() for f in futures] == list(range(10_000))
    futures = [executor.submit(tasks.add, i) for i in range(10_000)]
    assert len({id(f) for f in concurrent.futures.as_completed(futures)}) == 10_000


def test_nobody_has_to_ask_for_a_future(executor, tmp_path):
    path = tmp_path / "marks"
    futures = [executor.submit(tasks.mark, path) for _ in range(100)]
    await_condition(lambda: path.exists() and path.read_text() == "x" * 100)
    await_condition(lambda: all(f._state == "FINISHED" for f in futures))


def test_a_time_out_leaves_the_call_alone(executor):
    future = executor.submit(tasks.sleep_and_return, 0.3, 5)
    for timeout in (0, -1, 0.01):
        with pytest.raises(TimeoutError):
            future.result(timeout)
        with pytest.raises(TimeoutError):
            future.exception(timeout)
    assert future.result(20) == 5


def test_callbacks_come_in_a_thread_of_ours(executor):
    found = []
    come = threading.Event()

    def note(future):
        found.append((future.result(), threading.current_thread()))
        come.set()

    future = executor.submit(tasks.sleep_and_return, 0.05, 1)
    future.add_done_callback(note)
    assert come.wait(20)
    assert found == [(1, executor._executor_manager_thread)]
    future.add_done_callback(note)  # it is done: called at once
    assert found[1] == (1, threading.current_thread())


def test_callbacks_may_submit_and_wait(executor):
    results = []
    done = threading.Event()

    def next_one(future):
        results.append(future.result())
        if len(results) == 50:
            results.append(executor.submit(tasks.add, -1).result())
            results.append(list(executor.map(tasks.add, range(3))))
            done.set()
        else:
            executor.submit(tasks.add, len(results)).add_done_callback(next_one)

    executor.submit(tasks.add, 0).add_done_callback(next_one)
    assert done.wait(20)
    assert results == [*range(50), -1, [0, 1, 2]]


def test_what_a_callback_raises_costs_nobody_else(executor):
    done = threading.Event()
    future = executor.submit(tasks.sleep_and_return, 0.05)
    future.add_done_callback(lambda _: 1 // 0)
    future.add_done_callback(lambda _: done.set())
    assert done.wait(20)


def test_asyncio_runs_calls_in_it(executor):
    async def main():
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, tasks.add, i, 1) for i in range(100)]
        results = await asyncio.gather(*calls)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(executor, divmod, 1, 0)
        slow = loop.run_in_executor(executor, tasks.sleep_and_return, 0.2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow, 0.01)
        return results

    assert asyncio.run(main()) == list(range(1, 101))


def test_threads_share_an_executor(executor):
    results = {}

    def use(number):
        futures = [executor.submit(tasks.add, number, i) for i in range(200)]
        results[number] = [f.result() for f in futures]
        results[number] += executor.map(tasks.add, range(50))

    threads = [threading.Thread(target=use, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: [*range(i, i + 200), *range(50)] for i in range(5)}


def test_running_says_what_a_worker_has(executor, context):
    semaphore = context.Semaphore(0)
    futures = [executor.submit(tasks.acquire, semaphore) for _ in range(5)]
    await_condition(lambda: futures[0].running() and futures[1].running())
    assert "state=running" in repr(futures[0])
    assert [f.running() for f in futures[2:]] == [False] * 3
    assert not any(f.done() for f in futures)
    for _ in futures:
        semaphore.release()
    assert all(f.result() in executor._processes for f in futures)
    assert not any(f.running() for f in futures)


def test_what_has_not_begun_can_be_cancelled(executor, context, tmp_path):
    semaphore = context.Semaphore(0)
    held = [executor.submit(tasks.acquire, semaphore) for _ in range(2)]
    await_condition(lambda: all(f.running() for f in held))
    waiting = [executor.submit(tasks.mark, tmp_path / str(i)) for i in range(1000)]
    called = []
    waiting[0].add_done_callback(called.append)
    assert not held[0].cancel()
    assert all(f.cancel() for f in waiting)
    assert all(f.cancel() and f.cancelled() and f.done() for f in waiting)
    assert called == [waiting[0]]
    with pytest.raises(concurrent.futures.CancelledError):
        waiting[0].result()
    done, rest = concurrent.futures.wait(waiting, timeout=20)
    assert (len(done), len(rest)) == (1000, 0)
    for _ in held:
        semaphore.release()
    assert [f.result() for f in held]
    assert executor.submit(tasks.add, 1).result() == 1
    assert not list(tmp_path.iterdir())
    assert not held[0].cancel()


def test_who_waits_hears_of_a_cancellation(executor, context):
    semaphore = context.Semaphore(0)
    held = [executor.submit(tasks.acquire, semaphore) for _ in range(2)]
    future = executor.submit(tasks.add, 1)
    heard = []

    def wait():
        try:
            future.result()
        except concurrent.futures.CancelledError as error:
            heard.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert future.cancel()
    for thread in threads:
        thread.join(20)
    assert len(heard) == 3
    for _ in held:
        semaphore.release()


def test_cancel_races_with_the_workers(executor, tmp_path, seeded):
    for turn in range(30):
        path = tmp_path / str(turn)
        futures = [executor.submit(tasks.mark, path) for _ in range(40)]
        seeded.shuffle(futures)
        cancelled = sum(f.cancel() for f in futures)
        done, _ = concurrent.futures.wait(futures, timeout=20)
        assert len(done) == 40
        assert cancelled == sum(f.cancelled() for f in futures)
        marks = path.read_text() if path.exists() else ""
        assert len(marks) == 40 - cancelled, turn


def test_a_method_of_an_object_leaves_no_reference(executor):
    holder = tasks.Holder()
    known = weakref.ref(holder)
    future = executor.submit(holder.get)
    del holder
    await_condition(lambda: known() is None)
    assert future.result() == 1


def test_a_future_cannot_be_pickled(executor):
    future = executor.submit(tasks.add, 1)
    with pytest.raises(TypeError):
        pickle.dumps(future)
    with pytest.raises(AttributeError):
        future.get()


def test_an_executor_needs_sensible_arguments(context):
    for number in (0, -1):
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            ProcessPoolExecutor(number)
        with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
            ProcessPoolExecutor(1, max_tasks_per_child=number)
    with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
        ProcessPoolExecutor(1, max_tasks_per_child=1.5)
    with pytest.raises(ValueError, match="incompatible with the 'fork'"):
        ProcessPoolExecutor(1, mp_context=forkful.get_context("fork"), max_tasks_per_child=3)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ProcessPoolExecutor(1, initializer=3)
    with pytest.raises(ValueError, match='"break" or "isolate"'):
        ProcessPoolExecutor(1, on_worker_death="ignore")
    executor = ProcessPoolExecutor(1, max_tasks_per_child=3)
    assert executor._mp_context.get_start_method() == "spawn"
    executor = ProcessPoolExecutor(mp_context=context)
    assert executor._max_workers == forkful.cpu_count()
    assert executor._processes == {}


def test_workers_may_be_started_ahead(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    for _ in range(2):
        executor._adjust_process_count()
    executor._start_executor_manager_thread()
    assert len(executor._processes) == 2
    assert executor.submit(tasks.add, 1).result() == 1
    assert len(executor._pending_work_items) == 0
    executor.shutdown()


def test_an_initializer_runs_in_each_worker(context):
    with ProcessPoolExecutor(
        2, mp_context=context, initializer=tasks.set_status, initargs=("ready",)
    ) as executor:
        assert set(executor.map(tasks.get_status, range(20))) == {"ready"}


def test_nothing_of_the_standard_executor_is_loaded():
    done = run_python("""
        import sys
        import forkful
        assert "concurrent.futures" not in sys.modules
        import forkful.futures
        import concurrent.futures, asyncio
        with forkful.ProcessPoolExecutor(1) as executor:
            future = executor.submit(abs, -1)
            assert [f.result() for f in concurrent.futures.as_completed([future])] == [1]
        for name in ("concurrent.futures.process", "multiprocessing", "_multiprocessing"):
            assert name not in sys.modules, name
    """)
    assert (done.returncode, done.stderr) == (0, "")
