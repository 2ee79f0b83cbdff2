"""Condition: waits and notifications, its lock, and what becomes of it when somebody dies."""

from __future__ import annotations

import copy
import pickle
import threading
import time

import forkful
import pytest
from condition_waiters import start_waiters, wait_and_count
from forkful import synchronize
from helpers import await_condition


def locks_of(context):
    return [None, context.RLock(), context.Lock()]


def test_notifications_wake_as_many_as_they_say(context):
    for lock in locks_of(context):
        condition, woken = context.Condition(lock), context.Value("i", 0)
        children = start_waiters(context, condition, woken, 4)
        with condition:
            condition.notify()
        await_condition(lambda woken=woken: woken.value == 1)
        with condition:
            condition.notify(n=2)
        await_condition(lambda woken=woken: woken.value == 3)
        with condition:
            condition.notify(0)
            condition.notify(-1)
        assert condition._waiters() == 1
        with condition:
            condition.notify(10**30)
        for child in children:
            child.join()
        assert (woken.value, condition._waiters()) == (4, 0)


def test_notify_all_wakes_processes_and_threads(context):
    condition, woken = context.Condition(), context.Value("i", 0)
    children = start_waiters(context, condition, woken, 2)
    threads = [threading.Thread(target=wait_and_count, args=(condition, woken)) for _ in range(2)]
    for thread in threads:
        thread.start()
    await_condition(lambda: condition._waiters() == 4)
    with condition:
        condition.notify_all()
    for each in [*children, *threads]:
        each.join()
    assert woken.value == 4


def test_a_notification_is_for_those_who_wait_then():
    condition = forkful.Condition()
    with condition:
        condition.notify_all()
        assert condition.wait(0.01) is False


def test_timeouts_are_kept():
    condition = forkful.Condition()
    with condition:
        for timeout, least in ((0.1, 0.09), (0, 0), (-5, 0)):
            began = time.monotonic()
            assert condition.wait(timeout) is False
            assert least <= time.monotonic() - began < 3
        began = time.monotonic()
        assert condition.wait_for(lambda: 0, timeout=0.1) == 0
        assert 0.09 <= time.monotonic() - began < 3
        assert condition.wait_for(lambda: "yes", timeout=-1) == "yes"
        with pytest.raises(TypeError, match="timeout"):
            condition.wait("soon")
        assert condition._waiters() == 0


def raise_to(condition, value, most):
    while value.value < most:
        with condition:
            value.value += 1
            condition.notify_all()


def test_wait_for_sees_what_others_change(context):
    condition, value = context.Condition(), context.Value("i", 0)
    child = context.Process(target=raise_to, args=(condition, value, 50))
    child.start()
    with condition:
        assert condition.wait_for(lambda: value.value >= 50, timeout=20) is True
    child.join()


@pytest.mark.parametrize("kind", ["RLock", "Lock"])
def test_a_thread_without_the_lock_is_refused(kind):
    condition = forkful.Condition(getattr(forkful, kind)())
    errors = []

    def attempt():
        for call in (condition.wait, condition.notify, condition.notify_all):
            try:
                call()
            except AssertionError as error:
                errors.append(str(error))

    attempt()
    with condition:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        child = forkful.Process(target=lambda: condition.notify())
        child.start()
        child.join()
    assert child.exitcode == 1
    assert len(errors) == 6
    assert all("acquire() it first" in error for error in errors)
    assert errors[0].startswith("must acquire() condition before using wait()")
    assert errors[1].startswith("lock is not owned")


def test_a_wait_gives_the_lock_away_however_deep_it_is_held():
    condition = forkful.Condition()
    with condition, condition, condition:
        free = []

        def take():
            with condition:
                free.append(condition._lock._count())
                condition.notify()

        thread = threading.Thread(target=take)
        thread.start()
        assert condition.wait(20) is True
        thread.join()
        assert free == [1]
        assert condition._lock._count() == 3
    assert not condition._lock.locked()


def test_another_object_for_the_same_lock_holds_it_too():
    lock = forkful.Lock()
    condition = forkful.Condition(pickle.loads(pickle.dumps(lock)))
    with lock:
        condition.notify()
        assert condition.wait(0.01) is False


class Noted(synchronize.RLock):
    """A lock with methods of its own, which are called."""

    def __init__(self):
        super().__init__(ctx=forkful.get_context())
        self.calls = []

    def acquire(self, *args, **kwargs):
        self.calls.append("acquire")
        return super().acquire(*args, **kwargs)

    def release(self):
        self.calls.append("release")
        super().release()


class Foreign:
    """Somebody else's lock, with two methods only."""

    def __init__(self):
        self.lock = forkful.Semaphore()
        self.broken = False

    def acquire(self, blocking=True):
        if self.broken:
            raise ConnectionError("gone")
        return self.lock.acquire(blocking)

    def release(self):
        if self.broken:
            raise ConnectionError("gone")
        self.lock.release()


def test_the_methods_of_a_subclass_are_called():
    lock = Noted()
    condition = forkful.Condition(lock)
    with condition, condition:
        assert condition.wait(0.01) is False
        assert lock._count() == 2
    assert lock.calls == ["acquire"] * 2 + ["release"] * 2 + ["acquire"] * 2 + ["release"] * 2
    with pytest.raises(AssertionError):
        condition.notify()


def test_a_subclass_may_have_its_own_acquire_and_release():
    class Mine(synchronize.Condition):
        def __init__(self, calls):
            super().__init__()
            self.calls = calls

        def acquire(self, *args, **kwargs):
            self.calls.append("acquire")
            return super().acquire(*args, **kwargs)

    condition = Mine([])
    assert condition.acquire(timeout=1) is True
    condition.notify()
    condition.release()
    assert condition.calls == ["acquire"]
    plain = forkful.Condition()
    assert plain.acquire(False) is True
    assert plain._lock._is_mine()
    plain.release()
    with pytest.raises(AssertionError):
        plain.release()


def test_a_lock_that_is_not_ours_serves_as_far_as_it_goes(context):
    condition, woken = context.Condition(Foreign()), context.Value("i", 0)
    children = start_waiters(context, condition, woken, 2)
    with condition:
        condition.notify_all()
    for child in children:
        child.join()
    assert woken.value == 2
    with condition:
        condition._lock.broken = True
        with pytest.raises(ConnectionError):
            condition.wait()
        condition._lock.broken = False
    assert condition._waiters() == 0


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_the_lock_of_a_manager_serves(kind):
    with forkful.Manager() as manager:
        condition = forkful.Condition(getattr(manager, kind)())
        child = forkful.Process(target=raise_to, args=(condition, forkful.Value("i", 0), 1))
        with condition:
            child.start()
            assert condition.wait(20) is True
        child.join()
        with pytest.raises(RuntimeError, match="release un"):
            condition.wait()
        assert condition._waiters() == 0


@pytest.mark.parametrize("lock", [threading.Lock(), threading.RLock(), threading.Condition()])
def test_a_lock_of_threads_is_refused(lock):
    with pytest.raises(TypeError, match=r"give forkful\.Lock\(\)"):
        forkful.Condition(lock)


def test_what_is_no_lock_is_refused():
    with pytest.raises(AttributeError, match="'int' object has no attribute 'acquire'"):
        forkful.Condition(3)


def test_it_can_be_sent_and_copied(context):
    original = context.Condition(context.Lock())
    queue = context.Queue()
    queue.put(original)
    for twin in (queue.get(), pickle.loads(pickle.dumps(original)), copy.copy(original)):
        with twin:
            assert original.acquire(False) is False
            thread = threading.Thread(target=wait_and_count, args=(original, context.Value("i")))
            thread.start()
            assert twin.wait_for(lambda: original._waiters() == 2, 0.05) is False
            twin.release()
            await_condition(lambda: original._waiters() == 1)
            twin.acquire()
            twin.notify()
        thread.join()


def test_its_repr_names_the_lock_and_the_waiters():
    condition = forkful.Condition()
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 0)>"
    thread = threading.Thread(target=wait_and_count, args=(condition, forkful.Value("i")))
    thread.start()
    await_condition(lambda: condition._waiters() == 1)
    with condition:
        assert repr(condition) == "<Condition(<RLock(MainProcess, 1)>, 1)>"
        assert condition._sleeping_count.get_value() - condition._woken_count.get_value() == 1
        assert condition._wait_semaphore.get_value() == 0
        condition.notify()
    thread.join()


def play(condition, turn, mine, rounds):
    for _ in range(rounds):
        with condition:
            condition.wait_for(lambda: turn.value == mine)
            turn.value = 1 - mine
            condition.notify()


def test_two_take_turns(context):
    condition, turn = context.Condition(), context.Value("i", 0, lock=False)
    child = context.Process(target=play, args=(condition, turn, 1, 2000))
    child.start()
    play(condition, turn, 0, 2000)
    child.join()
    assert (child.exitcode, turn.value) == (0, 0)


def produce(condition, stock, number):
    for _ in range(number):
        with condition:
            stock.value += 1
            condition.notify()


def consume(condition, stock, number):
    for _ in range(number):
        with condition:
            condition.wait_for(lambda: stock.value > 0)
            stock.value -= 1


def test_no_notification_is_lost_among_many(context):
    condition, stock = context.Condition(context.Lock()), context.Value("i", 0, lock=False)
    children = [
        context.Process(target=target, args=(condition, stock, 500))
        for target in (produce, consume)
        for _ in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 6
    assert (stock.value, condition._waiters()) == (0, 0)
