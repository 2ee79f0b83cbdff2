"""How an executor ends: shut down, dropped, with its program, and in processes that were forked."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import sys
import threading
import weakref

import executor_tasks as tasks
import forkful
import pytest
from alarms import Alarm
from forkful.futures import ProcessPoolExecutor
from helpers import await_condition, children_of, run_python, runs


def threads_of_ours():
    return [t for t in threading.enumerate() if t.name.startswith("forkful-executor")]


def test_shutdown_waits_for_every_call(context, tmp_path):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(tasks.mark, tmp_path / "marks") for _ in range(200)]
    called = []
    futures[-1].add_done_callback(called.append)
    processes = list(executor._processes.values())
    executor.shutdown()
    assert all(f.done() for f in futures)
    assert called == [futures[-1]]
    assert (tmp_path / "marks").read_text() == "x" * 200
    assert [p.exitcode for p in processes] == [0, 0]
    assert not threads_of_ours()
    assert executor._processes is None
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(tasks.add, 1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.map(tasks.add, [1])


def test_shutdown_without_waiting_finishes_all(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(tasks.sleep_and_return, 0.005, i) for i in range(50)]
    results = executor.map(tasks.add, range(20))
    processes = list(executor._processes.values())
    thread = executor._executor_manager_thread
    queue = executor._call_queue
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        executor.submit(tasks.add, 1)
    thread.join(20)
    assert not thread.is_alive()
    for process in processes:
        process.join(20)
    queue.join_thread()
    assert [f.result() for f in futures] == list(range(50))
    assert list(results) == list(range(20))


def test_shutdown_cancels_what_has_not_begun(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = [executor.submit(tasks.sleep_and_return, 0.05, 1) for _ in range(50)]
        executor.shutdown(cancel_futures=True)
    cancelled = [f for f in futures if f.cancelled()]
    assert len(cancelled) > 20
    others = [f.result(0) for f in futures if not f.cancelled()]
    assert others
    assert set(others) == {1}


def test_an_executor_that_was_never_used_ends(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    executor.shutdown(cancel_futures=True)
    with ProcessPoolExecutor(2, mp_context=context):
        pass
    executor = ProcessPoolExecutor(2, mp_context=context)
    executor.kill_workers()
    with pytest.raises(RuntimeError):
        executor.submit(tasks.add, 1)
    assert not threads_of_ours()


def test_one_that_is_dropped_finishes_and_ends(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(tasks.sleep_and_return, 0.005, i) for i in range(50)]
    results = executor.map(tasks.add, range(20))
    thread = executor._executor_manager_thread
    processes = list(executor._processes.values())
    known = weakref.ref(executor)
    del executor
    gc.collect()
    assert known() is None
    thread.join(20)
    assert not thread.is_alive()
    assert not any(p.is_alive() for p in processes)
    assert [f.result() for f in futures] == list(range(50))
    assert list(results) == list(range(20))


def test_callbacks_may_shut_it_down(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    done = threading.Event()

    def end(_):
        executor.shutdown()
        done.set()

    executor.submit(tasks.add, 1).add_done_callback(end)
    assert done.wait(20)
    executor.shutdown()


def test_submissions_race_with_the_end(context):
    for _ in range(10):
        executor = ProcessPoolExecutor(2, mp_context=context)
        executor.submit(tasks.add, 1)
        futures = []
        refused = []

        def submit(executor=executor, futures=futures, refused=refused):
            try:
                while True:
                    futures.append(executor.submit(tasks.add, 1))
            except RuntimeError as error:
                refused.append(error)

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        await_condition(lambda futures=futures: len(futures) > 100)
        executor.shutdown()
        for thread in threads:
            thread.join(20)
        assert len(refused) == 3
        assert all(f.result(20) == 1 for f in futures)


def test_submissions_race_with_a_death(context):
    for _ in range(8):
        executor = ProcessPoolExecutor(2, mp_context=context)
        executor.submit(tasks.add, 1)
        futures = []
        refused = []

        def submit(executor=executor, futures=futures, refused=refused):
            try:
                while True:
                    future = executor.submit(tasks.add, 1)
                    futures.append(future)
                    future.add_done_callback(lambda _: None)
            except RuntimeError as error:
                refused.append(error)

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        await_condition(lambda futures=futures: len(futures) > 100)
        next(iter(executor._processes.values())).kill()
        for thread in threads:
            thread.join(20)
        assert all(isinstance(e, forkful.BrokenProcessPool) for e in refused)
        done, rest = concurrent.futures.wait(futures, timeout=20)
        assert not rest
        executor.shutdown()


def test_two_threads_begin_it_at_once(context):
    for _ in range(10):
        executor = ProcessPoolExecutor(2, mp_context=context)
        start = threading.Barrier(4)
        results = []

        def use(executor=executor, start=start, results=results):
            start.wait()
            results.append(executor.submit(tasks.add, 1).result())

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert results == [1] * 4
        assert len(executor._processes) == 2 or context.get_start_method() != "fork"
        executor.shutdown()
        assert not threads_of_ours()


def test_a_handler_uses_it_in_the_midst_of_everything(context):
    """A signal comes all the time, and its handler submits, waits, cancels and looks."""
    executor = ProcessPoolExecutor(2, mp_context=context)
    executor.submit(tasks.add, 1).result()
    seen = []

    def handle():
        future = executor.submit(tasks.add, 3)
        assert future.cancel() or future.result() == 3
        assert executor.submit(tasks.add, 3).result() == 3
        seen.append(executor._broken)
        alarm.after(0.002, handle)  # the next one, and never two at a time

    with Alarm() as alarm:
        alarm.after(0.002, handle)
        for _ in range(30):
            futures = [executor.submit(tasks.add, i) for i in range(50)]
            done, rest = concurrent.futures.wait(futures[:25], timeout=20)
            assert not rest
            assert [f.result() for f in futures] == list(range(50))
            assert list(executor.map(tasks.add, range(30))) == list(range(30))
            for future in [executor.submit(tasks.add, i) for i in range(8)]:
                future.cancel()
    assert seen
    assert not any(seen)
    executor.shutdown()


def test_an_interrupt_ends_a_wait_and_not_the_executor(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    semaphore = context.Semaphore(0)
    future = executor.submit(tasks.acquire, semaphore)

    class Interrupt(Exception):
        pass

    def interrupt():
        raise Interrupt

    with Alarm() as alarm:
        for wait in (future.result, lambda: concurrent.futures.wait([future]), executor.shutdown):
            with pytest.raises(Interrupt):
                alarm.after(0.05, interrupt)
                wait()
    semaphore.release()
    assert future.result()
    executor.shutdown()


PROGRAM = """
import atexit, os, sys, time
import forkful
from forkful.futures import ProcessPoolExecutor

def say(seconds, text):
    time.sleep(seconds)  # Why: the interpreter is to end while this runs
    os.write(1, text.encode() + bytes([10]))
    return text
"""


@pytest.mark.parametrize("end", ["", "executor.shutdown(wait=False)", "del executor", "sys.exit()"])
def test_the_end_of_the_program_finishes_what_is_pending(end):
    done = run_python(
        PROGRAM
        + f"""
executor = ProcessPoolExecutor(2)
future = executor.submit(say, 0.3, "apple")
executor.submit(say, 0.3, "pear").add_done_callback(lambda f: say(0, "done " + f.result()))
results = executor.map(say, [0.1], ["plum"])
{end}
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split("\n")) == ["", "apple", "done pear", "pear", "plum"]


def test_no_call_comes_after_the_end():
    done = run_python(
        PROGRAM
        + """
def late():
    for executor in (used, unused):
        try:
            executor.submit(say, 0, "late")
        except RuntimeError as error:
            print(error)
atexit.register(late)
used, unused = ProcessPoolExecutor(1), ProcessPoolExecutor(1)
used.submit(say, 0, "apple").result()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *late = done.stdout.splitlines()
    assert first == "apple"
    assert [line[:31] for line in late] == ["cannot schedule new futures after"[:31]] * 2


def test_an_unhandled_error_ends_the_program_with_its_executor():
    done = run_python(
        PROGRAM
        + """
executor = ProcessPoolExecutor(2)
executor.submit(say, 0.2, "apple")
raise SystemExit(3)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "apple\n", "")


def use_in_child(keep):
    global kept
    executor = ProcessPoolExecutor(2)
    assert executor.submit(tasks.add, 1).result() == 1
    if keep:
        kept = executor
        executor.submit(tasks.sleep_and_return, 0.1)


@pytest.mark.parametrize("keep", [False, True])
def test_a_child_has_executors_of_its_own(context, keep):
    child = context.Process(target=use_in_child, args=(keep,))
    child.start()
    child.join(20)
    assert child.exitcode == 0


def use_of_another(executor, answers):
    for use in (lambda: executor.submit(tasks.add, 1), lambda: executor.map(tasks.add, [1])):
        try:
            use()
        except RuntimeError as error:
            answers.put(str(error))
    executor.shutdown()
    executor.kill_workers()
    assert not executor._broken


def test_a_forked_child_is_refused_its_parents_executor():
    context = forkful.get_context("fork")
    answers = context.Queue()
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        future = executor.submit(tasks.sleep_and_return, 0.3, 1)
        child = context.Process(target=use_of_another, args=(executor, answers))
        child.start()
        assert "another process has begun to use this executor" in answers.get(timeout=20)
        assert "another process" in answers.get(timeout=20)
        child.join(20)
        assert child.exitcode == 0
        assert future.result() == 1


def use_unused(executor):
    assert executor.submit(tasks.add, 1).result() == 1
    executor.shutdown()


def test_a_forked_child_may_begin_one_that_its_parent_only_made():
    context = forkful.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        children = [context.Process(target=use_unused, args=(executor,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(20)
            assert child.exitcode == 0
        assert executor.submit(tasks.add, 1).result() == 1


def test_os_fork_in_a_program_with_an_executor():
    with ProcessPoolExecutor(2) as executor:
        future = executor.submit(tasks.sleep_and_return, 0.1, 1)
        pid = os.fork()
        if pid == 0:
            del executor, future
            gc.collect()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert future.result() == 1


def nested(depth):
    if depth == 0:
        return [os.getpid()]
    with ProcessPoolExecutor(1) as executor:
        return [os.getpid(), *executor.submit(nested, depth - 1).result()]


def test_calls_may_have_executors(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        pids = executor.submit(nested, 2).result()
    assert len(set(pids)) == 3
    await_condition(lambda: not any(runs(pid) for pid in pids))


def is_daemon():
    return forkful.current_process().daemon


def test_workers_are_no_daemons(context):
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert not executor.submit(is_daemon).result()
        assert set(executor._processes) <= set(children_of(os.getpid()))


def test_a_subclass_has_a_constructor_of_its_own(context):
    class Mine(ProcessPoolExecutor):
        def __init__(self, name, *args, **kwargs):
            self.name = name
            super().__init__(*args, mp_context=context, **kwargs)

    with Mine("mine", 1) as executor:
        assert executor.name == "mine"
        assert executor.submit(tasks.add, 1).result() == 1
        assert sys.modules["concurrent.futures"].Executor in Mine.__mro__


def test_a_child_forked_before_the_executors_thread_was_started_ends_in_order():
    done = run_python("""
        import forkful
        from forkful import futures

        class Unstarted(futures._ExecutorManagerThread):
            def start(self):
                child = forkful.Process()
                child.start()
                child.join()
                print(child.exitcode)
                super().start()

        futures._ExecutorManagerThread = Unstarted
        with forkful.ProcessPoolExecutor(1) as executor:
            print(executor.submit(abs, -1).result())
    """)
    assert (done.stdout, done.stderr) == ("0\n1\n", "")
