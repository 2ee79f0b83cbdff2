"""Workers of an executor that die: it breaks as a whole, or the call that was run is lost alone."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading

import executor_tasks as tasks
import pytest
from forkful._child import untold
from forkful.futures import BrokenProcessPool, ProcessPoolExecutor, WorkerDied
from helpers import await_condition, is_asleep, run_python, runs


def assert_broken(executor):
    assert executor._broken
    with pytest.raises(BrokenProcessPool, match="terminated abruptly"):
        executor.submit(tasks.add, 1)
    with pytest.raises(BrokenProcessPool):
        executor.map(tasks.add, [1])
    executor.shutdown()


def warm(executor):
    """Has all its workers run."""
    count = executor._max_workers
    barrier = [executor.submit(tasks.sleep_and_return, 0.1) for _ in range(count)]
    assert all(f.result() is None for f in barrier)
    pids = list(executor._processes)
    assert len(pids) == count
    await_condition(lambda: all(is_asleep(pid) for pid in pids))
    return pids


@pytest.mark.parametrize("how", ["kill", "exit", "exit 0"])
def test_a_death_breaks_the_executor(context, how):
    executor = ProcessPoolExecutor(2, mp_context=context)
    semaphore = context.Semaphore(0)
    others = [executor.submit(tasks.release_and_pause, semaphore)]
    assert semaphore.acquire(timeout=20)
    pids = {executor.submit(tasks.get_pid).result()}
    processes = list(executor._processes.values())
    pids |= {p.pid for p in processes}
    what = {
        "kill": (tasks.kill_self,),
        "exit": (tasks.exit_with, 3),
        "exit 0": (tasks.exit_with, 0),
    }[how]
    lost = executor.submit(*what)
    waiting = []
    mapped = None
    try:
        for _ in range(100):
            waiting.append(executor.submit(tasks.add, 1))
        mapped = executor.map(tasks.add, range(10))
    except BrokenProcessPool:
        pass  # it was noticed already
    with pytest.raises(WorkerDied) as caught:
        lost.result(20)
    assert caught.value.pid in pids
    assert isinstance(caught.value, concurrent.futures.BrokenExecutor)
    assert " while running a call (" in str(caught.value)
    for future in [*others, *waiting]:
        with pytest.raises(BrokenProcessPool, match="terminated abruptly"):
            future.result(20)
    if mapped is not None:
        with pytest.raises(BrokenProcessPool):
            list(mapped)
    assert_broken(executor)
    assert not any(p.is_alive() for p in processes)


def test_a_program_may_end_the_workers_one_by_one(context):
    executor = ProcessPoolExecutor(4, mp_context=context)
    futures = [executor.submit(tasks.pause) for _ in range(4)]
    for process in executor._processes.values():
        process.terminate()
        process.join()
    assert all(isinstance(f.exception(20), BrokenProcessPool) for f in futures)
    executor.shutdown()


def test_an_idle_workers_death_breaks_it(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    pid, _ = warm(executor)
    os.kill(pid, signal.SIGKILL)
    await_condition(lambda: executor._broken)
    assert_broken(executor)


def test_an_idle_workers_death_is_seen_by_the_next_call(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    pid, _ = warm(executor)
    os.kill(pid, signal.SIGKILL)
    await_condition(lambda: not runs(pid))

    def fails():
        try:
            executor.submit(tasks.add, 1).result()
        except BrokenProcessPool:
            return True
        return False

    await_condition(fails)
    assert_broken(executor)


def test_workers_that_die_at_once_after_the_first_call(context):
    for _ in range(20):
        executor = ProcessPoolExecutor(3, mp_context=context)
        future = executor.submit(tasks.pause)
        for process in list(executor._processes.values()):
            process.kill()
        with pytest.raises(BrokenProcessPool):
            future.result(20)
        assert_broken(executor)


def test_who_waits_by_other_means_hears_of_a_death(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(tasks.pause) for _ in range(10)]
    called = []
    futures[9].add_done_callback(lambda f: called.append(f.exception()))
    timer = threading.Timer(0.05, lambda: next(iter(executor._processes.values())).kill())
    timer.start()
    done, rest = concurrent.futures.wait(futures, timeout=20)
    assert (len(done), len(rest)) == (10, 0)
    assert all(isinstance(f.exception(), BrokenProcessPool) for f in done)
    await_condition(lambda: called)
    assert_broken(executor)
    timer.join()


def test_nobody_has_to_wait_for_a_death_to_be_noticed(context):
    executor = ProcessPoolExecutor(1, mp_context=context)
    future = executor.submit(tasks.kill_self)
    await_condition(lambda: future._state == "FINISHED")
    thread = executor._executor_manager_thread
    thread.join(20)  # it ends the other workers, and itself
    assert not thread.is_alive()
    assert_broken(executor)


@pytest.fixture
def isolated(context):
    with ProcessPoolExecutor(2, mp_context=context, on_worker_death="isolate") as executor:
        yield executor
        assert sorted(executor.map(tasks.add, range(100), chunksize=3)) == list(range(100))
        assert not executor._broken


def test_isolate_costs_the_call_alone(isolated):
    futures = [isolated.submit(tasks.add, i) for i in range(50)]
    lost = [isolated.submit(tasks.kill_self) for _ in range(10)]
    lost += [isolated.submit(tasks.exit_with, 0)]
    futures += [isolated.submit(tasks.add, i) for i in range(50, 100)]
    assert [f.result() for f in futures] == list(range(100))
    for future in lost:
        with pytest.raises(WorkerDied) as caught:
            future.result()
    assert (caught.value.exitcode, caught.value.signal) == (0, None)
    assert len(isolated._processes) <= 4


def fail():
    raise ValueError("no")


def test_workers_whose_initializer_raises_wait_for_nobody_once_that_is_logged(monkeypatch):
    monkeypatch.setattr(untold, "_PATIENCE", None)
    with (
        ProcessPoolExecutor(1, initializer=fail, on_worker_death="isolate") as executor,
        pytest.raises(BrokenProcessPool, match="5 workers died at their start"),
    ):
        executor.submit(abs, 1).result()


def test_isolate_gives_what_cannot_be_read_to_its_call(isolated):
    with pytest.raises(ValueError, match="cannot be read"):
        isolated.submit(tasks.add, tasks.ReadBadly()).result()
    with pytest.raises(ValueError, match="cannot be read"):
        isolated.submit(tasks.return_bad, tasks.ReadBadly).result()


def test_isolate_replaces_idle_workers(isolated):
    for _ in range(3):
        pid, *_ = warm(isolated)
        os.kill(pid, signal.SIGKILL)
        await_condition(lambda pid=pid: not runs(pid))
        assert list(isolated.map(tasks.add, range(20))) == list(range(20))
        await_condition(lambda: isolated.submit(tasks.add, 1).result() and isolated._processes)


def test_a_storm_of_kills_loses_only_what_was_run(isolated, seeded):
    futures = [isolated.submit(tasks.sleep_and_return, 0.002, i) for i in range(300)]
    killed = 0
    while not all(f.done() for f in futures):
        process = seeded.choice([*isolated._processes.values(), None])
        if process is not None and seeded.random() < 0.2:
            process.kill()
            killed += 1
        concurrent.futures.wait(futures, timeout=0.01)
    lost = [f for f in futures if isinstance(f.exception(), WorkerDied)]
    assert len(lost) <= killed
    assert all(f in lost or f.result() == i for i, f in enumerate(futures))


def test_an_initializer_that_raises_breaks_it(context):
    log = context.Queue()
    executor = ProcessPoolExecutor(
        2, mp_context=context, initializer=tasks.log_and_fail, initargs=(log,)
    )
    with pytest.raises(BrokenProcessPool, match="initializer raises"):
        executor.submit(tasks.add, 1).result()
    await_condition(lambda: executor._broken)
    assert_broken(executor)
    text = log.get(timeout=20).getMessage()
    assert "Exception in initializer" in text
    assert "ValueError: error in initializer" in text


@pytest.mark.parametrize("initializer", [(tasks.exit_with, 0), (tasks.sys_exit, 0)])
@pytest.mark.parametrize("mode", ["break", "isolate"])
def test_an_initializer_that_exits_breaks_it(context, initializer, mode):
    function, argument = initializer
    executor = ProcessPoolExecutor(
        2,
        mp_context=context,
        initializer=function,
        initargs=(argument,),
        on_worker_death=mode,
    )
    with pytest.raises(BrokenProcessPool):
        executor.submit(tasks.add, 1).result()
    executor.shutdown()


def test_an_initializer_that_is_killed_breaks_it(context):
    semaphore = context.Semaphore(0)
    executor = ProcessPoolExecutor(
        1, mp_context=context, initializer=tasks.release_and_pause, initargs=(semaphore,)
    )
    future = executor.submit(tasks.add, 1)
    assert semaphore.acquire(timeout=20)
    next(iter(executor._processes.values())).kill()
    with pytest.raises(BrokenProcessPool, match="before it was ready"):
        future.result()
    executor.shutdown()


@pytest.mark.parametrize("how", ["terminate_workers", "kill_workers"])
def test_workers_are_ended_on_demand(context, how):
    executor = ProcessPoolExecutor(2, mp_context=context)
    running = [executor.submit(tasks.pause) for _ in range(2)]
    await_condition(lambda: all(f.running() for f in running))
    waiting = [executor.submit(tasks.add, 1) for _ in range(20)]
    processes = list(executor._processes.values())
    getattr(executor, how)()
    for future in running:
        with pytest.raises(BrokenProcessPool):
            future.result(20)
    for future in waiting:
        with pytest.raises((BrokenProcessPool, concurrent.futures.CancelledError)):
            future.result(20)
    for process in processes:
        process.join(20)
    number = signal.SIGKILL if how == "kill_workers" else signal.SIGTERM
    assert -number in {p.exitcode for p in processes}
    with pytest.raises(RuntimeError):
        executor.submit(tasks.add, 1)
    getattr(executor, how)()


def test_a_stopped_worker_keeps_nobody_from_the_end(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    pids = warm(executor)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    futures = [executor.submit(tasks.add, i) for i in range(10)]
    executor.kill_workers()
    for future in futures:
        with pytest.raises((BrokenProcessPool, concurrent.futures.CancelledError)):
            future.result(20)
    executor.shutdown()


def test_workers_go_when_their_program_is_killed():
    done = run_python("""
        import os, signal, sys
        import forkful
        if __name__ == "__main__":
            executor = forkful.ProcessPoolExecutor(2)
            executor.submit(abs, 1).result()
            print(*executor._processes, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    await_condition(lambda: not any(runs(pid) for pid in pids))


def test_a_failing_initializer_is_logged_once(context):
    done = run_python(f"""
        import forkful
        def fail():
            raise ValueError("of the initializer")
        context = forkful.get_context({context._name!r})
        with forkful.ProcessPoolExecutor(3, context, fail) as executor:
            try:
                executor.submit(abs, 1).result()
            except forkful.BrokenProcessPool as error:
                print(error)
    """)
    assert "log of concurrent.futures, which is on stderr by default" in done.stdout
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.startswith("Exception in initializer:\n")
