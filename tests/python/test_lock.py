"""Lock, RLock, Semaphore and Event: their interface, in one process and across several."""

from __future__ import annotations

import datetime
import fractions
import pickle
import re
import threading
import time

import forkful
import pytest
from forkful import _multiprocessing, synchronize
from helpers import await_condition, is_asleep


def report(queue, function, args, kwargs):
    queue.put(function(*args, **kwargs))


def elsewhere(function, *args, context=forkful, **kwargs):
    """The result of a call in a child process."""
    queue = context.Queue()
    child = context.Process(target=report, args=(queue, function, args, kwargs))
    child.start()
    result = queue.get(timeout=20)
    child.join()
    return result


def in_thread(function, *args):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    return results[0]


def raises(error, function):
    try:
        function()
    except error:
        return True
    return False


def take_and_release(lock):
    return lock.acquire(timeout=5), lock.release()


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_one_process_at_a_time(context, kind):
    lock = getattr(context, kind)()
    assert lock.acquire() is True
    assert elsewhere(lock.acquire, False, context=context) is False
    assert elsewhere(lock.acquire, block=False, context=context) is False
    assert elsewhere(lock.acquire, True, 0.01, context=context) is False
    assert elsewhere(lock.acquire, timeout=0.01, context=context) is False
    assert lock.release() is None
    assert elsewhere(take_and_release, lock, context=context) == (True, None)
    with lock as got:
        assert got is True
        assert elsewhere(lock.acquire, False, context=context) is False
    assert lock.acquire(False) is True
    lock.release()


def count(lock, value):
    for _ in range(2000):
        with lock:
            value.value += 1


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_increments_under_it_are_not_lost(context, kind):
    lock, value = getattr(context, kind)(), context.RawValue("i", 0)
    children = [context.Process(target=count, args=(lock, value)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert value.value == 6000


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_threads_exclude_each_other_too(kind):
    lock = getattr(forkful, kind)()
    lock.acquire()
    assert in_thread(lock.acquire, False) is False
    assert in_thread(lock.acquire, True, 0.01) is False
    lock.release()
    assert in_thread(lambda: lock.acquire(False) and not lock.release()) is True


def test_timeouts_are_kept_and_negative_ones_do_not_wait():
    for lock in (forkful.Lock(), forkful.Semaphore(0)):
        lock.acquire(False)
        for timeout, least in ((0.1, 0.09), (0, 0), (-5, 0)):
            began = time.monotonic()
            assert lock.acquire(True, timeout) is False
            assert least <= time.monotonic() - began < 3


def test_a_waiter_sleeps_and_gets_the_lock_when_it_is_free():
    lock = forkful.Lock()
    lock.acquire()
    child = forkful.Process(target=lock.acquire)
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    lock.release()
    child.join(10)
    assert child.exitcode == 0
    assert lock.locked()  # an owner that exits in order keeps it
    lock.release()


def test_a_lock_may_be_released_by_another_process():
    lock = forkful.Lock()
    lock.acquire()
    assert elsewhere(lock.release) is None
    assert lock.acquire(timeout=5)
    lock.release()


def test_an_rlock_counts_and_belongs_to_its_thread():
    lock = forkful.RLock()
    assert repr(lock) == "<RLock(None, 0)>"
    for _ in range(3):
        assert lock.acquire()
    assert repr(lock) == "<RLock(MainProcess, 3)>"
    assert in_thread(raises, AssertionError, lock.release)
    assert elsewhere(raises, AssertionError, lock.release)
    lock.release()
    lock.release()
    assert in_thread(lock.acquire, False) is False
    lock.release()
    assert in_thread(lambda: lock.acquire(False) and not lock.release())


def test_releases_too_many_have_the_standard_types():
    with pytest.raises(ValueError, match="released too many times: the Lock"):
        forkful.Lock().release()
    with pytest.raises(AssertionError, match="not owned by thread.*the RLock"):
        forkful.RLock().release()
    bounded = forkful.BoundedSemaphore(2)
    with pytest.raises(ValueError, match="released too many times: the semaphore"):
        bounded.release()
    assert bounded.get_value() == 2
    semaphore = forkful.Semaphore(2)
    semaphore.release()
    assert semaphore.get_value() == 3


def test_a_semaphore_lets_so_many_in():
    semaphore = forkful.Semaphore(2)
    assert (semaphore.acquire(), semaphore.acquire(), semaphore.acquire(False)) == (1, 1, 0)
    assert semaphore.get_value() == 0
    child = forkful.Process(target=semaphore.acquire)
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    semaphore.release()
    child.join(10)
    assert child.exitcode == 0
    assert semaphore.get_value() == 0


def test_reprs_say_the_state():
    for lock, depth in ((forkful.Lock(), ""), (forkful.RLock(), ", 1")):
        kind = type(lock).__name__
        owner = "owner=" if kind == "Lock" else ""
        elsewhere_depth = ", nonzero" if depth else ""
        assert repr(lock) == f"<{kind}({owner}None{', 0' if depth else ''})>"
        lock.acquire()
        assert repr(lock) == f"<{kind}({owner}MainProcess{depth})>"
        assert in_thread(repr, lock) == f"<{kind}({owner}SomeOtherThread{elsewhere_depth})>"
        assert elsewhere(repr, lock) == f"<{kind}({owner}SomeOtherProcess{elsewhere_depth})>"
        lock.release()
        name = in_thread(lambda lock=lock: lock.acquire() and repr(lock) + str(lock.release()))
        assert re.fullmatch(rf"<{kind}\({owner}MainProcess\|Thread-\d+ .*>None", name)
    assert repr(forkful.Semaphore(3)) == "<Semaphore(value=3)>"
    assert repr(forkful.BoundedSemaphore(3)) == "<BoundedSemaphore(value=3, maxvalue=3)>"
    event = forkful.Event()
    assert re.fullmatch("<Event at 0x[0-9a-f]+ unset>", repr(event))
    event.set()
    assert re.fullmatch("<Event at 0x[0-9a-f]+ set>", repr(event))


def test_a_lock_shows_the_face_of_the_standard_one():
    lock, rlock, semaphore = forkful.Lock(), forkful.RLock(), forkful.BoundedSemaphore(3)
    for each, kind, most in ((lock, 1, 1), (rlock, 0, 1), (semaphore, 1, 3)):
        face = each._semlock
        assert isinstance(each, synchronize.SemLock)
        assert (face.kind, face.maxvalue, face.name, face._get_value()) == (kind, most, None, most)
        assert face.acquire(True, 1) is True
        assert (face._get_value(), face._is_zero()) == (most - 1, most == 1)
        assert each.locked() is (most == 1)
        assert (face._is_mine(), face._count()) == ((False, 0) if most > 1 else (True, 1))
        with pickle.loads(pickle.dumps(face)) if each is not lock else semaphore:
            assert face._count() == {rlock: 2, lock: 1}.get(each, 0)
        face.release()
        assert face._get_value() == most
    assert synchronize.SemLock._make_name() != synchronize.SemLock._make_name()


def test_a_lock_of_a_kind_by_its_number():
    semaphore = synchronize.SemLock(synchronize.SEMAPHORE, 1, 2, ctx=None)
    with semaphore:
        assert (semaphore.locked(), semaphore.acquire(False)) == (True, False)
    semaphore.release()
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()
    recursive = synchronize.SemLock(synchronize.RECURSIVE_MUTEX, 1, 1, ctx=None)
    with recursive, recursive:
        assert recursive._semlock._count() == 2


def test_the_accelerator_keeps_names():
    class Mine(_multiprocessing.SemLock):
        pass

    named = Mine(1, 0, 10, "/forkful-test", False)
    assert (named.name, named.acquire(False)) == ("/forkful-test", False)
    with pytest.raises(FileExistsError):
        Mine(1, 0, 10, "/forkful-test", False)
    _multiprocessing.sem_unlink("/forkful-test")
    with pytest.raises(FileNotFoundError):
        _multiprocessing.sem_unlink("/forkful-test")
    with pytest.raises(ValueError, match="unrecognized kind"):
        Mine(7, 0, 10, "/forkful-test", True)


def test_an_event_wakes_all_who_wait():
    event = forkful.Event()
    assert event.is_set() is False
    assert event.wait(0.01) is False
    assert event.wait(timeout=0) is False
    children = [forkful.Process(target=event.wait) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        await_condition(lambda pid=child.pid: is_asleep(pid))
    event.set()
    for child in children:
        child.join(10)
        assert child.exitcode == 0
    assert event.wait() is True
    assert event.is_set() is True
    event.clear()
    assert elsewhere(event.wait, 0.01) is False


@pytest.mark.parametrize("wrong", ["1", datetime.timedelta(seconds=1), [1], object()])
def test_a_timeout_that_is_no_number_is_named(wrong):
    lock, event, queue = forkful.RLock(), forkful.Event(), forkful.Queue()
    kind = type(wrong).__name__
    for wait in (
        lambda: lock.acquire(timeout=wrong),
        lambda: lock.acquire(True, wrong),
        lambda: event.wait(wrong),
        lambda: queue.get(timeout=wrong),
        lambda: queue.put(1, timeout=wrong),
    ):
        with pytest.raises(TypeError, match=rf"^timeout must be a .*seconds or None, not .*{kind}"):
            wait()
    assert not lock.locked() and queue.empty()


class RaisesAsAFloat:
    def __float__(self):
        raise TypeError("not today")


def test_what_a_timeouts_own_conversion_raises_is_kept():
    with pytest.raises(TypeError, match="^not today$"):
        forkful.Event().wait(RaisesAsAFloat())
    assert forkful.Event().wait(fractions.Fraction(1, 100)) is False


@pytest.mark.parametrize("make", [forkful.Lock, forkful.RLock, forkful.Event, forkful.SimpleQueue])
def test_an_argument_too_many_is_told_what_may_be_given(make):
    with pytest.raises(TypeError, match="too many positional arguments; it is ") as raised:
        make(2)
    assert f"{make.__name__}(" in str(raised.value) and "name=None)" in str(raised.value)
    assert "ctx" not in str(raised.value) and "keyword-only" not in str(raised.value)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'; it is "):
        make(colour=1)


def test_wrong_arguments_are_refused_and_nothing_is_lost():
    lock, event, semaphore = forkful.Lock(), forkful.Event(), forkful.Semaphore()
    for use in (
        lambda: lock.acquire(True, "soon"),
        lambda: lock.acquire(True, 1, 1),
        lambda: lock.acquire(colour=1),
        lambda: event.wait("soon"),
        lambda: event.wait(1, 2),
        lambda: event.wait(colour=1),
        lambda: forkful.Semaphore("three"),
        lambda: forkful.Lock(1),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(ValueError):
        forkful.Semaphore(-1)
    with pytest.raises(ValueError, match="policy"):
        forkful.Lock(policy="ignore")
    assert lock.acquire(False) and semaphore.acquire(False) and not event.is_set()
    lock.release()
