"""What becomes of locks whose owner or waiter is killed."""

from __future__ import annotations

import os
import threading
import time

import forkful
import pytest
from helpers import await_condition, is_asleep, kill_self

KINDS = ["Lock", "RLock"]


def acquire_and_die(lock):
    lock.acquire()
    kill_self()


def acquire_and_exit(lock):
    lock.acquire()
    os._exit(0)


def die_with(lock, target=acquire_and_die):
    child = forkful.Process(target=target, args=(lock,))
    child.start()
    child.join()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [acquire_and_die, acquire_and_exit])
def test_a_dead_owner_is_reported_and_recover_takes_the_lock(kind, target):
    lock = getattr(forkful, kind)()
    die_with(lock, target)
    for attempt in (lock.acquire, lock.__enter__, lambda: lock.acquire(timeout=10)):
        with pytest.raises(forkful.LockOwnerDied, match=r"recover\(\)"):
            attempt()
    assert lock.recover() is True
    assert lock.locked()
    lock.release()
    with lock:
        pass
    assert lock.recover() is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_sleeping_waiter_learns_of_the_death(kind):
    lock, ready, go = getattr(forkful, kind)(), forkful.Event(), forkful.Event()

    def hold():
        lock.acquire()
        ready.set()
        go.wait()
        kill_self()

    def wait(queue):
        try:
            lock.acquire()
        except forkful.LockOwnerDied:
            queue.put("told")

    queue = forkful.Queue()
    owner = forkful.Process(target=hold)
    owner.start()
    assert ready.wait(10)
    waiter = forkful.Process(target=wait, args=(queue,))
    waiter.start()
    await_condition(lambda: is_asleep(waiter.pid))
    began = time.monotonic()
    go.set()
    assert queue.get(timeout=10) == "told"
    assert time.monotonic() - began < 2
    owner.join()
    waiter.join()


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_recover_hands_the_lock_over(kind):
    lock = getattr(forkful, kind)(policy="recover")
    for _ in range(3):
        die_with(lock)
        assert lock.acquire(timeout=10) is True
        lock.release()


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_block_waits_as_the_standard_library_does(kind):
    lock = getattr(forkful, kind)(policy="block")
    die_with(lock)
    assert lock.acquire(timeout=0.1) is False


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="policy"):
        forkful.RLock(policy="ask")


@pytest.mark.parametrize("kind", KINDS)
def test_an_owner_that_exits_keeps_the_lock(kind):
    lock = getattr(forkful, kind)()
    die_with(lock, lambda each: each.acquire())
    assert lock.locked()
    assert lock.acquire(timeout=0.1) is False


def test_only_one_of_many_waiters_recovers():
    lock, entered = forkful.Lock(policy="recover"), forkful.Value("i", 0)
    go = forkful.Event()

    def enter():
        with lock:
            before = entered.value
            go.wait()
            entered.value = before + 1

    die_with(lock)
    children = [forkful.Process(target=enter) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:  # one of them inside
        await_condition(lambda pid=child.pid: is_asleep(pid))
    go.set()
    for child in children:
        child.join(20)
    assert entered.value == 4


def test_a_killed_waiter_takes_nothing_with_it():
    lock, semaphore = forkful.Lock(), forkful.Semaphore(0)
    lock.acquire()
    for wait in (lock.acquire, semaphore.acquire):
        child = forkful.Process(target=wait)
        child.start()
        await_condition(lambda pid=child.pid: is_asleep(pid))
        child.kill()
        child.join()
    lock.release()
    semaphore.release()
    assert lock.acquire(timeout=5)
    assert semaphore.acquire(timeout=5)
    lock.release()


def test_a_killed_waiter_of_an_event_does_not_stop_the_others():
    event = forkful.Event()
    children = [forkful.Process(target=event.wait) for _ in range(3)]
    for child in children:
        child.start()
        await_condition(lambda pid=child.pid: is_asleep(pid))
    children[0].kill()
    children[0].join()
    event.set()
    for child in children[1:]:
        child.join(10)
        assert child.exitcode == 0


@pytest.mark.timeout(120)
def test_owners_killed_at_random_never_stop_the_rest(seeded):
    lock, total = forkful.Lock(policy="recover"), forkful.RawValue("q", 0)

    def work():
        while True:
            with lock:
                total.value += 1

    steady = forkful.Process(target=work)
    steady.start()
    for _ in range(20):
        victim = forkful.Process(target=work)
        victim.start()
        time.sleep(seeded.uniform(0, 0.01))  # Why: the moment of the kill is the test
        victim.kill()
        victim.join()
        seen = total.value
        await_condition(lambda seen=seen: total.value > seen)
    steady.kill()
    steady.join()
    assert lock.acquire(timeout=10)
    lock.release()


def test_a_thread_that_ends_keeps_its_lock():
    lock = forkful.Lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert lock.acquire(timeout=0.05) is False
    lock.release()


def test_a_values_lock_survives_its_owner():
    value = forkful.Value("i", 7)
    die_with(value.get_lock())
    with pytest.raises(forkful.LockOwnerDied, match="of a Value died"):
        _ = value.value
    with pytest.raises(forkful.LockOwnerDied):
        value.value = 1
    assert value.get_lock().recover()
    value.get_lock().release()
    assert value.value == 7
