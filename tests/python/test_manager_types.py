"""What Manager() offers: containers, values, queues, locks and pools, shared with a child."""

from __future__ import annotations

import copy
import gc
import queue
import threading

import pytest
from forkful.managers import AcquirerProxy, DictProxy, ListProxy, Namespace, SyncManager
from helpers import eventually


@pytest.fixture(scope="module")
def manager(context):
    with context.Manager() as manager:
        yield manager


def in_child(context, target, *args):
    child = context.Process(target=target, args=args)
    child.start()
    child.join()
    assert child.exitcode == 0


def change_dict(shared):
    assert shared["one"] == 1 and list(shared) == ["one"]
    shared |= {"two": 2}
    assert list(reversed(shared)) == ["two", "one"]


def test_a_dict(manager, context):
    shared = manager.dict(one=1)
    in_child(context, change_dict, shared)
    assert shared.copy() == {"one": 1, "two": 2} == copy.deepcopy(shared) == shared._getvalue()
    assert (len(shared), "two" in shared, shared.get("x", 5)) == (2, True, 5)
    assert (shared.keys(), shared.values()) == (["one", "two"], [1, 2])
    assert shared.items() == [("one", 1), ("two", 2)]
    assert shared | {"a": 0} == {"one": 1, "two": 2, "a": 0}
    assert {"a": 0} | shared == {"a": 0, "one": 1, "two": 2}
    assert str(shared) == "{'one': 1, 'two': 2}" and "DictProxy" in repr(shared)
    assert shared.popitem() == ("two", 2) and shared.setdefault("z", 3) == 3
    with pytest.raises(KeyError, match="nothing"):
        shared["nothing"]
    assert (shared == {}, shared == shared) == (False, True)


def change_list(shared):
    assert [each for each in shared] == [3, 1, 2]
    shared.sort()
    shared += [4]


def test_a_list(manager, context):
    shared = manager.list([3, 1, 2])
    in_child(context, change_list, shared)
    assert shared[:] == [1, 2, 3, 4] == shared.copy()
    shared *= 2
    assert isinstance(shared, ListProxy) and len(shared) == 8
    assert shared + [9] == [1, 2, 3, 4, 1, 2, 3, 4, 9]
    assert list(reversed(shared))[:2] == [4, 3]
    shared[1:] = [7]
    assert (shared.pop(), shared.index(1), shared.count(1)) == (7, 0, 1)
    with pytest.raises(IndexError):
        shared[5]
    shared.clear()
    assert shared[:] == []


def change_set(shared):
    assert sorted(shared) == [1, 2]
    shared.add(3)


def test_a_set(manager, context):
    shared = manager.set([1, 2])
    in_child(context, change_set, shared)
    first = shared
    shared |= {4}
    shared -= {1}
    shared &= manager.set([2, 3, 4])
    shared ^= {4, 5}
    assert shared is first and shared._getvalue() == {2, 3, 5}
    assert shared & {2} == {2} and {2, 9} - shared == {9} and shared > {2}
    with pytest.raises(TypeError):
        shared |= [1]


def nest(outer, inner):
    outer["inner"] = inner
    outer["inner"].append(1)


def test_a_container_in_another_one_is_shared(manager, context):
    outer, inner = manager.dict(), manager.list()
    in_child(context, nest, outer, inner)
    assert inner[:] == [1]
    del inner
    assert outer["inner"][:] == [1]
    outer["inner"].append(2)
    taken = outer.pop("inner")
    assert taken[:] == [1, 2] and isinstance(taken, ListProxy)
    other = manager.dict(a=5)
    outer.update(other)
    assert outer.copy() == {"a": 5}
    plain = manager.list([[1]])
    plain[0].append(2)  # changes a copy
    assert plain[0] == [1]


class Watched:
    """What a list keeps; it says when it goes."""

    gone = 0

    def __del__(self):
        type(self).gone += 1


class WatchingManager(SyncManager):
    pass


WatchingManager.register("Watched", Watched)


class Gone:
    def count(self):
        return Watched.gone


WatchingManager.register("Gone", Gone)


def test_what_is_in_no_container_any_more_goes(context):
    with WatchingManager(ctx=context) as manager:
        outer, gone = manager.list(), manager.Gone()
        for _ in range(3):
            outer.append(manager.Watched())
        gc.collect()
        assert manager._number_of_objects() == 2
        assert gone.count() == 0
        taken = outer.pop()  # nothing in the server has it but the answer
        assert gone.count() == 0 and "Watched" in str(taken)
        del taken
        gc.collect()
        assert gone.count() == 1
        other = manager.dict(inner=outer)
        del outer
        gc.collect()
        other["inner"].append(1)
        other.clear()
        assert eventually(lambda: gone.count() == 3)


def test_a_container_may_be_in_itself(manager):
    shared = manager.list()
    shared.append(shared)
    assert len(shared[0][0]) == 1
    shared.clear()


def set_names(shared):
    shared.x = 1
    del shared.y


def test_a_namespace(manager, context):
    shared = manager.Namespace(y=2)
    in_child(context, set_names, shared)
    shared._hidden = 3
    assert (shared.x, str(shared)) == (1, "Namespace(x=1)")
    with pytest.raises(AttributeError, match="y"):
        print(shared.y)
    assert isinstance(shared._getvalue(), Namespace)


def test_a_value_and_an_array(manager):
    value = manager.Value("i", 3)
    value.value += 1
    assert (value.value, value.get(), str(value)) == (4, 4, "Value('i', 4)")
    array = manager.Array("i", [1, 2])
    array[0] = 5
    assert (len(array), list(array), array[:].tolist()) == (2, [5, 2], [5, 2])
    with pytest.raises(TypeError):
        array[0] = "text"


def answer(asked, answers):
    while (item := asked.get()) is not None:
        answers.put(item * 2)
        asked.task_done()
    asked.task_done()


def test_queues(manager, context):
    asked, answers = manager.JoinableQueue(), manager.Queue(5)
    child = context.Process(target=answer, args=(asked, answers))
    child.start()
    for item in (1, 2, None):
        asked.put(item)
    asked.join()
    assert [answers.get(timeout=10) for _ in range(2)] == [2, 4]
    assert answers.empty() and answers.qsize() == 0
    with pytest.raises(queue.Empty):
        answers.get(timeout=0.01)
    child.join()


def hold(lock, is_held, end):
    with lock:
        is_held.set()
        end.wait()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Lock", ()),
        ("RLock", ()),
        ("Semaphore", (1,)),
        ("BoundedSemaphore", (1,)),
        ("Condition", ()),
    ],
)
def test_locks(manager, context, name, arguments):
    lock = getattr(manager, name)(*arguments)
    is_held, end = manager.Event(), manager.Event()
    child = context.Process(target=hold, args=(lock, is_held, end))
    child.start()
    assert is_held.wait(20)
    if isinstance(lock, AcquirerProxy) and name != "Condition":
        assert not lock.acquire(False) and not lock.acquire(True, 0.01)
    end.set()
    child.join()
    with lock:
        pass
    if name != "Semaphore":
        with pytest.raises((RuntimeError, ValueError)):
            lock.release()


def pass_barrier(barrier, condition, passed):
    barrier.wait()
    with condition:
        passed.append(1)
        condition.notify_all()


def test_a_barrier_and_a_condition(manager, context):
    barrier, condition, passed = manager.Barrier(3), manager.Condition(), manager.list()
    children = [
        context.Process(target=pass_barrier, args=(barrier, condition, passed)) for _ in range(2)
    ]
    for child in children:
        child.start()
    assert eventually(lambda: barrier.n_waiting == 2)
    assert (barrier.parties, barrier.broken) == (3, False)
    barrier.wait()
    with condition:
        assert condition.wait_for(lambda: len(passed) == 2, 20)
        assert not condition.wait_for(lambda: False, 0.01)
        assert not condition.wait(0.01)
    for child in children:
        child.join()
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()


def test_a_pool(manager):
    with manager.Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
        assert list(pool.imap(abs, [-3])) == [3]
        assert sorted(pool.imap_unordered(abs, [-3, 4])) == [3, 4]
        assert pool.apply_async(abs, (-4,)).get(20) == 4
        assert pool.starmap(pow, [(2, 3)]) == [8]


def test_a_task_of_a_pool_takes_proxies(manager, context):
    shared = manager.dict()
    with context.Pool(2) as pool:
        pool.starmap(put, [(shared, each) for each in range(5)])
    assert sorted(shared.keys()) == [0, 1, 2, 3, 4]


def put(shared, key):
    shared[key] = True


def test_types_of_the_proxies_take_brackets():
    assert DictProxy[str, int].__origin__ is DictProxy
    assert ListProxy[int].__origin__ is ListProxy
