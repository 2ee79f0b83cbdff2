"""Workers that die: each costs the item it was running, and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

import forkful
import pytest
from helpers import await_condition, kill_self, runs


@pytest.fixture
def pool():
    with forkful.Pool(2) as pool:
        yield pool
        assert pool.map(abs, range(-50, 0), chunksize=3) == list(range(50, 0, -1))
        # The dead are replaced, by whoever waits next.
        await_condition(lambda: pool.map(abs, [-1]) == [1] and len(pool._pool) == 2)


def kill(pid):
    """Kills a worker; one that was killed before may have been buried meanwhile."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def get_pid(_=None):
    return os.getpid()


def die_at(item):
    number, victim = item
    if number == victim:
        kill_self()
    return number


def outcomes(iterator, count):
    """Each result, or the WorkerDied in its place."""
    found = []
    for _ in range(count):
        try:
            found.append(next(iterator))
        except forkful.WorkerDied as error:
            found.append(error)
    return found


def test_a_worker_killed_mid_task_fails_that_call_only(pool):
    other = pool.map_async(abs, range(100), chunksize=1)
    with pytest.raises(forkful.WorkerDied) as caught:
        pool.apply(kill_self)
    error = caught.value
    assert isinstance(error, forkful.BrokenProcessPool)
    assert (error.signal, error.exitcode, error.item) == (signal.SIGKILL, -signal.SIGKILL, 0)
    assert error.pid not in (0, os.getpid(), *(worker.pid for worker in pool._pool))
    assert str(error).startswith(
        f"worker process {error.pid} was killed by signal 9 while running a call (ForkPoolWorker-"
    )
    assert str(error).endswith(", Killed); the other calls are not affected and the pool goes on")
    with pytest.raises(forkful.WorkerDied, match=r"running item 1 \(counted from 0\) of a call"):
        pool.map(die_at, [(0, 1), (1, 1)], chunksize=2)
    assert other.get(20) == list(range(100))


def test_the_error_travels_to_other_processes(pool):
    error = forkful.WorkerDied("text", 5, -9, 3)
    queue = forkful.Queue()
    queue.put(error)
    got = queue.get()
    assert (str(got), got.pid, got.signal, got.exitcode, got.item) == ("text", 5, 9, -9, 3)
    assert got.task == got.item


@pytest.mark.parametrize("code", [0, 7])
def test_os_exit_in_a_task_fails_that_call_only(pool, code):
    with pytest.raises(forkful.WorkerDied) as caught:
        pool.apply_async(os._exit, (code,)).get(20)
    assert (caught.value.signal, caught.value.exitcode) == (None, code)
    assert f"exited with code {code}" in str(caught.value)


def test_a_segfault_in_a_task_fails_that_call_only(pool):
    with pytest.raises(forkful.WorkerDied) as caught:
        pool.apply_async(segfault).get(20)
    assert caught.value.signal == signal.SIGSEGV


def segfault():
    import faulthandler

    faulthandler.disable()  # its report would go to the terminal
    ctypes.string_at(0)


@pytest.mark.parametrize("chunksize", [1, 4, 30])
@pytest.mark.parametrize("victim", [0, 13, 29])
def test_only_the_killed_item_of_a_map_is_lost(pool, chunksize, victim):
    items = [(number, victim) for number in range(30)]
    found = outcomes(pool.imap(die_at, items, chunksize), 30)
    lost = found.pop(victim)
    assert isinstance(lost, forkful.WorkerDied)
    assert lost.task == victim
    assert found == [number for number in range(30) if number != victim]
    with pytest.raises(forkful.WorkerDied) as caught:
        pool.map(die_at, items, chunksize)
    assert caught.value.task == victim


def test_items_that_are_finished_do_not_run_twice(pool):
    ran = forkful.Queue()
    items = [(ran, number) for number in range(20)]
    result = pool.starmap_async(note_and_die_at_11, items, chunksize=20)
    with pytest.raises(forkful.WorkerDied):
        result.get(20)
    assert sorted(ran.get() for _ in range(ran.qsize())) == list(range(20))


def note_and_die_at_11(queue, number):
    queue.put(number)
    if number == 11:
        kill_self()


def test_several_killed_items_of_one_chunk(pool):
    items = [(number, number if number % 4 == 1 else -1) for number in range(16)]
    found = outcomes(pool.imap_unordered(die_at, items, 16), 16)
    died = sorted(error.task for error in found if isinstance(error, forkful.WorkerDied))
    assert died == [1, 5, 9, 13]
    numbers = sorted(number for number in found if isinstance(number, int))
    assert numbers == [number for number in range(16) if number % 4 != 1]


def test_idle_workers_that_are_killed_are_replaced(pool):
    for _ in range(4):
        pids = [worker.pid for worker in pool._pool]
        for pid in pids:
            kill(pid)
        assert pool.apply_async(abs, (-1,)).get(20) == 1
        assert pool.map(abs, [-1, -2]) == [1, 2]
        await_condition(lambda pids=pids: not any(runs(pid) for pid in pids))


def test_fresh_workers_that_are_killed_do_not_break_the_pool(pool):
    for _ in range(8):
        kill(pool._pool[0].pid)
        assert pool.apply_async(get_pid).get(20) != 0


def test_a_terminated_worker_is_replaced(pool):
    pool._pool[0].terminate()
    assert pool.map(abs, [-1] * 10, 1) == [1] * 10


def test_a_call_with_a_callback_learns_of_the_death(pool):
    told: list[BaseException] = []
    result = pool.apply_async(kill_self, error_callback=told.append)
    result.wait(20)
    assert [type(error) for error in told] == [forkful.WorkerDied]


def test_a_killed_worker_is_noticed_without_a_waiter(pool):
    result = pool.apply_async(kill_self)
    await_condition(result.ready)
    assert result.successful() is False


def test_workers_killed_at_random_lose_one_item_each_at_most(pool, seeded):
    for _ in range(8):
        results = pool.imap(abs, range(2000), 10)
        kill(seeded.choice(pool._pool).pid)
        found = outcomes(results, 2000)
        lost = [i for i, each in enumerate(found) if isinstance(each, forkful.WorkerDied)]
        assert len(lost) <= 1
        assert all(each == i for i, each in enumerate(found) if i not in lost)


def test_closing_waits_for_what_a_death_put_back():
    pool = forkful.Pool(2)
    result = pool.map_async(die_at, [(n, 3) for n in range(40)], chunksize=20)
    pool.close()
    pool.join()
    with pytest.raises(forkful.WorkerDied):
        result.get(0)


# --- initializers ---

_state: list[object] = []


def initialize(*args):
    _state.append(args)


def read_state():
    return list(_state)


def test_an_initializer_runs_once_in_each_worker():
    with forkful.Pool(2, initialize, (1, "a")) as pool:
        assert pool.apply(read_state) == [(1, "a")]
        for worker in list(pool._pool):
            kill(worker.pid)
        assert pool.apply_async(read_state).get(20) == [(1, "a")]
    assert _state == []


def fail_to_begin():
    raise RuntimeError("no licence")


def test_an_initializer_that_fails_breaks_the_pool_with_a_clear_error(capfd):
    began = time.monotonic()
    pool = forkful.Pool(2, fail_to_begin)
    result = pool.apply_async(abs, (1,))
    with pytest.raises(
        forkful.BrokenProcessPool, match="5 workers died at their start.*initializer"
    ):
        result.get(20)
    assert time.monotonic() - began < 10
    for use in (lambda: pool.map(abs, [1]), lambda: pool.apply(abs, (1,))):
        with pytest.raises(forkful.BrokenProcessPool):
            use()
    pool.close()
    pool.join()
    printed = capfd.readouterr().err
    assert printed.count("RuntimeError: no licence") == 1
    assert printed.count("Traceback") == 1
    assert "pool.py" not in printed


def test_an_initializer_that_exits_breaks_the_pool_too():
    for leave in (os._exit, exit_in_order):
        with (
            forkful.Pool(1, leave, (3,)) as pool,
            pytest.raises(
                forkful.BrokenProcessPool, match=r"exit code 3: the pool's initializer .*_exit\(\)"
            ),
        ):
            pool.map_async(abs, [1, 2]).get(20)


def exit_in_order(code):
    raise SystemExit(code)


def test_workers_that_die_without_an_initializer_are_not_said_to_have_one():
    os.register_at_fork(after_in_child=end_a_worker_now)
    _ends_workers.append(True)
    try:
        with (
            forkful.Pool(1) as pool,
            pytest.raises(
                forkful.BrokenProcessPool, match="exit code 5: .* there is no initializer"
            ),
        ):
            pool.map_async(abs, [1, 2]).get(20)
    finally:
        _ends_workers.clear()


_ends_workers: list[bool] = []


def end_a_worker_now():
    if _ends_workers:
        os._exit(5)


def test_a_second_cause_is_shown_after_an_initializer_has_succeeded(tmp_path, capfd):
    with forkful.Pool(1, fail_at_first_and_third, (str(tmp_path / "count"),)) as pool:
        assert pool.apply_async(abs, (-1,)).get(20) == 1
        kill(pool._pool[0].pid)
        assert pool.apply_async(abs, (-2,)).get(20) == 2
    printed = capfd.readouterr().err
    assert [number in printed for number in ("start 1", "start 2", "start 3")] == [
        True,
        False,
        True,
    ]


def fail_at_first_and_third(path):
    with open(path, "a+") as file:
        file.write("x")
        if file.tell() in (1, 3):
            raise RuntimeError(f"start {file.tell()}")


def test_an_initializer_that_fails_once_in_a_while_does_not(tmp_path):
    with forkful.Pool(1, fail_the_first_three_times, (str(tmp_path / "count"),)) as pool:
        assert pool.map_async(abs, [-1, -2]).get(20) == [1, 2]


def fail_the_first_three_times(path):
    with open(path, "a+") as file:
        file.write("x")
        if file.tell() <= 3:
            os._exit(1)


# --- maxtasksperchild ---


@pytest.mark.parametrize("most", [1, 3])
def test_workers_are_replaced_after_their_share(most):
    with forkful.Pool(2, maxtasksperchild=most) as pool:
        pids = pool.map(get_pid, range(30), chunksize=1)
        counts = [pids.count(pid) for pid in set(pids)]
        assert max(counts) <= most
        assert len(counts) >= 30 // most
        chunks = pool.map(get_pid, range(30), chunksize=10)
        assert len(set(chunks)) == (3 if most == 1 else len(set(chunks)))


def test_one_task_a_worker_again_and_again():
    with forkful.Pool(1, maxtasksperchild=1) as pool:
        pids = [pool.apply_async(get_pid).get(20) for _ in range(10)]
        assert len(set(pids)) == 10
    with forkful.Pool(2, initialize, (5,), maxtasksperchild=1) as pool:
        assert [pool.apply(read_state) for _ in range(5)] == [[(5,)]] * 5


def test_a_closed_pool_with_shares_finishes_its_work():
    pool = forkful.Pool(2, maxtasksperchild=1)
    result = pool.map_async(abs, range(-20, 0), chunksize=1)
    pool.close()
    pool.join()
    assert result.get(0) == list(range(20, 0, -1))


# --- time-outs ---


def test_a_call_that_takes_too_long_is_ended_and_the_others_are_not(pool):
    pids = {worker.pid for worker in pool._pool}
    others = pool.map_async(abs, range(-50, 0), chunksize=1)
    late = pool.apply_async(signal.pause, timeout=0.2)
    with pytest.raises(forkful.TimeoutError, match="ran longer than it may, 200 ms"):
        late.get(20)
    assert others.get(20) == list(range(50, 0, -1))
    await_condition(lambda: len(pids & {worker.pid for worker in pool._pool}) == 1)


def test_a_call_that_waits_in_the_queue_is_not_late():
    with forkful.Pool(1) as pool:
        first = pool.apply_async(time.sleep, (0.5,))  # Why: longer than the other's limit
        behind = pool.apply_async(abs, (-1,), timeout=0.2)
        assert behind.get(20) == 1
        assert first.get(20) is None


def test_a_timed_call_that_nobody_waits_for_is_ended_too():
    with forkful.Pool(1) as pool:
        (pid,) = (worker.pid for worker in pool._pool)
        result = pool.apply_async(signal.pause, timeout=0.1)
        await_condition(lambda: not runs(pid))
        await_condition(lambda: result._done)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon"])
def test_a_time_limit_that_is_none_is_refused(pool, timeout):
    ran = forkful.Event()
    with pytest.raises((ValueError, TypeError)):
        pool.apply_async(ran.set, timeout=timeout)
    assert pool.apply(abs, (-1,)) == 1
    assert not ran.is_set()


# --- answers ---


def test_an_idle_worker_that_is_killed_costs_nothing(pool):
    busy, go = forkful.Value("i", 0), forkful.Event()
    result = pool.starmap_async(stay_until, [(None, None), (go, busy)], chunksize=1)
    await_condition(lambda: busy.value)
    (idle,) = (worker.pid for worker in pool._pool if worker.pid != busy.value)
    await_condition(lambda: is_idle(idle))
    kill(idle)
    go.set()
    assert result.get(20) == [True, True]


def stay_until(event, own_pid):
    if event is None:
        return True
    own_pid.value = os.getpid()
    return event.wait(20)


def is_idle(pid):
    with open(f"/proc/{pid}/wchan") as file:
        return "futex" in file.read()


# --- children that tasks fork ---


def leave_in_child(number, leave):
    """In the child `leave` is called; in the worker, how it has ended counts."""
    child = os.fork()
    if child == 0:
        leave()
        return "from the child"
    _, status = os.waitpid(child, 0)
    return number, os.waitstatus_to_exitcode(status)


def return_it():
    print("in the child", end="")


def raise_it():
    raise ValueError("in the child")


def exit_it():
    sys.exit(7)


@pytest.mark.parametrize(("leave", "code"), [(return_it, 0), (raise_it, 1), (exit_it, 7)])
def test_a_child_that_a_task_forks_hands_in_nothing(capfd, leave, code):
    with forkful.Pool(1) as pool:  # the errors of two would mix on stderr
        assert pool.apply(leave_in_child, (1, leave)) == (1, code)
        items = [(n, leave) for n in range(10)]
        assert pool.starmap(leave_in_child, items, chunksize=5) == [(n, code) for n in range(10)]
        assert pool.map(abs, range(100), chunksize=1) == list(range(100))
    out, err = capfd.readouterr()
    assert out == "in the child" * 11 * (leave is return_it)
    assert err.count("ValueError: in the child") == 11 * (leave is raise_it)


def fork_and_wait():
    child = os.fork()
    if child != 0:
        assert os.waitpid(child, 0) == (child, 0)


def test_a_child_that_an_initializer_forks_is_no_worker():
    with forkful.Pool(2, fork_and_wait) as pool:
        assert pool.map(abs, range(100), chunksize=1) == list(range(100))
