"""The names of the package on threads."""

from __future__ import annotations

import threading

import forkful.dummy as dummy
import pytest
from forkful.dummy import connection


def test_a_process_is_a_thread():
    ran = []
    child = dummy.Process(target=lambda *args, **kwargs: ran.append((args, kwargs)), args=(1,))
    assert isinstance(child, threading.Thread)
    assert child.exitcode is None
    assert child not in dummy.active_children()
    child.start()
    child.join()
    assert (child.exitcode, ran) == (0, [((1,), {})])
    assert child not in dummy.active_children()


def test_children_are_those_of_the_thread_that_asks():
    seen = []
    go, looked = dummy.Event(), dummy.Event()

    def parent():
        inner = dummy.Process(target=go.wait)
        inner.start()
        seen.append(dummy.active_children() == [inner])
        looked.set()
        inner.join()
        seen.append(dummy.active_children())

    child = dummy.Process(target=parent)
    child.start()
    assert child in dummy.active_children()
    assert child in dummy.current_process()._children
    assert child.exitcode is None
    looked.wait()
    go.set()
    child.join()
    assert seen == [True, []]


def test_only_the_thread_that_made_it_starts_it():
    child = dummy.Process(target=int)
    caught = []

    def start():
        try:
            child.start()
        except RuntimeError as error:
            caught.append(str(error))

    other = threading.Thread(target=start)
    other.start()
    other.join()
    assert "alone can start it" in caught[0]
    child.start()
    with pytest.raises(RuntimeError):
        child.start()
    child.join()


def test_a_thread_of_another_kind_may_ask_for_its_children():
    seen = []
    other = threading.Thread(target=lambda: seen.append(dummy.active_children()))
    other.start()
    other.join()
    assert seen == [[]]


def test_what_a_manager_makes_is_there():
    manager = dummy.Manager()
    space = manager.Namespace(x=1, _hidden=2)
    space.y = "z"
    assert repr(space) == "Namespace(x=1, y='z')"
    assert manager.dict(a=1) == {"a": 1}
    assert manager.list("ab") == ["a", "b"]
    assert list(manager.Array("i", range(3))) == [0, 1, 2]
    value = manager.Value("i", 5)
    value.value += 1
    assert (value.value, repr(value)) == (6, "<Value('i', 6)>")
    queue = manager.JoinableQueue(maxsize=1)
    queue.put(1)
    assert queue.full()
    assert queue.get() == 1
    queue.task_done()
    queue.join()
    manager.shutdown()
    dummy.freeze_support()


def test_locks_are_those_of_threads():
    for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"):
        with getattr(dummy, name)():
            pass
    assert dummy.Barrier(1).wait() == 0
    assert not dummy.Event().is_set()
    here, there = dummy.Pipe()
    here.send("x")
    assert there.recv() == "x"
    assert dummy.connection is connection


def test_a_pool_is_one_of_threads():
    with dummy.Pool(2) as pool:
        assert isinstance(pool, forkful_thread_pool())
        assert pool.map(abs, [-1, 2]) == [1, 2]


def forkful_thread_pool():
    from forkful.pool import ThreadPool

    return ThreadPool
