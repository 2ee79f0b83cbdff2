"""A condition when a waiter, a notifier or a lock's owner dies, or a signal's handler raises."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import forkful
import pytest
from condition_waiters import start_waiters
from helpers import await_condition, eventually, is_asleep, kill_self


class Alarm(Exception):
    """What the signal's handler raises."""


@contextmanager
def raising_on_signal():
    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_waiter_that_is_killed_takes_no_notification_along():
    condition, woken = forkful.Condition(), forkful.Value("i", 0)
    doomed, other = start_waiters(forkful, condition, woken, 2)
    doomed.kill()
    doomed.join()
    with condition:
        condition.notify()
    other.join(20)
    assert (other.exitcode, woken.value) == (0, 1)


def notify_and_die(condition):
    condition.acquire()
    condition.notify()
    kill_self()


@pytest.mark.parametrize("kind", ["RLock", "Lock"])
def test_a_notifier_that_dies_with_the_lock_is_reported_and_the_lock_is_held(kind):
    condition = forkful.Condition(getattr(forkful, kind)())
    child = forkful.Process(target=notify_and_die, args=(condition,))
    with condition:
        child.start()
        with pytest.raises(forkful.LockOwnerDied, match="held here again"):
            condition.wait(20)
        assert condition._lock._is_mine()
    assert not condition._lock.locked()
    with condition:
        assert condition.wait(0.01) is False
    child.join()


def take_and_die(condition, taken):
    condition.acquire()
    taken.set()
    kill_self()


def test_an_owner_that_dies_is_reported_to_whoever_enters_and_recovered():
    condition, taken = forkful.Condition(), forkful.Event()
    child = forkful.Process(target=take_and_die, args=(condition, taken))
    child.start()
    child.join()
    with pytest.raises(forkful.LockOwnerDied), condition:
        pass
    assert condition.recover() is True
    condition.notify_all()
    condition.release()


def test_it_works_on_after_a_waiter_died_in_each_place():
    condition, woken = forkful.Condition(), forkful.Value("i", 0)
    for round_number in range(20):
        doomed, other = start_waiters(forkful, condition, woken, 2)
        with condition:
            condition.notify(1 + round_number % 2)
            os.kill(doomed.pid, signal.SIGKILL)
        doomed.join()

        def wake_the_rest():
            try:
                with condition:
                    condition.notify_all()
            except forkful.LockOwnerDied:
                condition.recover()
                condition.release()

        while not eventually(lambda other=other: not other.is_alive(), 0.1):
            wake_the_rest()
        other.join()
        # Those that were killed may still be counted.
        with condition:
            condition.notify_all()
            assert condition._waiters() == 0


@pytest.mark.parametrize("kind", ["RLock", "Lock"])
def test_a_handler_that_raises_ends_the_wait_with_the_lock_held(kind):
    lock = getattr(forkful, kind)()
    condition = forkful.Condition(lock)
    main = threading.current_thread()

    def send():
        await_condition(lambda: condition._waiters() == 1 and is_asleep(main.native_id))
        signal.pthread_kill(main.ident, signal.SIGUSR1)

    thread = threading.Thread(target=send)
    with raising_on_signal():
        with condition:
            thread.start()
            with pytest.raises(Alarm):
                condition.wait()
            assert lock._is_mine()
            assert condition._waiters() == 0
        thread.join()
    assert not lock.locked()


def hold(condition, held, let_go):
    with condition:
        held.set()
        let_go.wait()


def test_what_a_handler_raises_comes_out_when_the_lock_is_free():
    condition, held, let_go = forkful.Condition(), forkful.Event(), forkful.Event()
    child = forkful.Process(target=hold, args=(condition, held, let_go))
    seen = []

    def ring(*_):
        seen.append(condition._waiters())
        let_go.set()
        raise Alarm

    before = signal.signal(signal.SIGUSR1, ring)
    main = threading.current_thread()

    def send():
        held.wait()
        await_condition(lambda: condition._waiters() == 0 and is_asleep(main.native_id))
        signal.pthread_kill(main.ident, signal.SIGUSR1)

    thread = threading.Thread(target=send)
    try:
        with condition:
            child.start()
            thread.start()
            with pytest.raises(Alarm):
                condition.wait(0.2)  # is over while the child has the lock
            assert condition._lock._is_mine()
    finally:
        signal.signal(signal.SIGUSR1, before)
    thread.join()
    child.join()
    assert seen in ([0], [1])


def interrupt(pid, condition):
    await_condition(lambda: condition._waiters() == 1 and is_asleep(pid))
    os.kill(pid, signal.SIGINT)


def test_ctrl_c_ends_a_wait():
    condition = forkful.Condition()
    child = forkful.Process(target=interrupt, args=(os.getpid(), condition))
    child.start()
    with condition, pytest.raises(KeyboardInterrupt):
        condition.wait(60)
    child.join()


def turn_the_crank(condition, stock, turns):
    """Gives and takes for ever, whoever else dies in the middle of it."""
    while True:
        try:
            with condition:
                stock.value += 1
                condition.notify()
                condition.wait_for(lambda: stock.value > 0, timeout=0.05)
                stock.value = max(stock.value - 1, 0)
                turns.value += 1
        except forkful.LockOwnerDied:
            if condition._lock._is_mine() or condition.recover():
                condition.release()


def test_a_storm_of_kills_stops_nobody_else(seeded):
    for lock in (forkful.RLock(), forkful.Lock()):
        condition = forkful.Condition(lock)
        stock, turns = forkful.RawValue("i", 0), forkful.RawValue("i", 0)

        def start(condition=condition, stock=stock, turns=turns):
            child = forkful.Process(target=turn_the_crank, args=(condition, stock, turns))
            child.start()
            return child

        children = [start() for _ in range(3)]
        for _ in range(30):
            before = turns.value
            await_condition(lambda before=before, turns=turns: turns.value > before + 5)
            victim = children.pop(seeded.randrange(3))
            victim.kill()
            victim.join()
            children.append(start())
        before = turns.value
        await_condition(lambda before=before, turns=turns: turns.value > before + 50)
        for child in children:
            child.kill()
            child.join()
