"""Array and RawArray between processes: their locks, deaths, where they travel, when they go."""

from __future__ import annotations

import ctypes
import gc
import pickle
import weakref

import forkful
import pytest
from forkful import _core, reduction, sharedctypes, synchronize
from helpers import eventually, kill_self


def test_the_lock_may_be_given_or_left_out():
    lock = forkful.Lock()
    assert forkful.Array("i", 3, lock=lock).get_lock() is lock
    for none in (True, None):
        assert type(forkful.Array("i", 3, lock=none).get_lock()) is type(forkful.RLock())
    for raw in (forkful.Array("i", 3, lock=False), forkful.RawArray("i", 3)):
        assert isinstance(raw, ctypes.Array)
        assert not hasattr(raw, "get_lock")
        assert not hasattr(raw, "get_obj")
    with pytest.raises(AttributeError, match="has no method 'acquire'"):
        forkful.Array("i", 3, lock="no lock")


class CountingLock:
    """A lock of somebody's own."""

    held = 0
    times = 0

    def acquire(self):
        self.held += 1
        self.times += 1

    def release(self):
        self.held -= 1


class LoggingRLock(sharedctypes.RLock):
    """An RLock whose methods somebody has overridden."""

    def __init__(self):
        super().__init__()
        self.log = []

    def acquire(self, block=True, timeout=None):
        self.log.append("acquire")
        return super().acquire(block, timeout)

    def release(self):
        self.log.append("release")
        super().release()


def use_once(made):
    made[0] = made[1]
    made[:] = made[:]
    for bad in (lambda: made["x"], lambda: made.__setitem__(0, "x")):
        with pytest.raises(TypeError):
            bad()


@pytest.mark.parametrize("kind", ["i", ctypes.c_void_p])
def test_any_lock_is_taken_by_each_access_and_released(kind):
    own, logging = CountingLock(), LoggingRLock()
    use_once(forkful.Array(kind, 2, lock=own))
    assert (own.held, own.times >= 4) == (0, True)
    use_once(forkful.Array(kind, 2, lock=logging))
    assert logging.log.count("acquire") == logging.log.count("release") >= 4
    value = forkful.Value("i", 1, lock=logging)
    del logging.log[:]
    assert value.value == 1
    assert logging.log == ["acquire", "release"]


class LooksAtAll:
    """A lock whose release() looks at every list that there is."""

    def acquire(self):
        gc.collect()

    def release(self):
        for each in gc.get_objects():
            if type(each) is list:
                len([*each])


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_of_ours_is_free_after_each_access(kind):
    lock = getattr(forkful, kind)()
    use_once(forkful.Array("i", 2, lock=lock))
    value = forkful.Value("i", 1, lock=lock)
    value.value += 1
    assert lock.locked() is False
    assert value.value == 2


def test_a_lock_that_was_not_made_is_refused():
    class Unmade(synchronize.Lock):
        def __init__(self):
            pass

    for make in (
        lambda lock: forkful.Value("i", lock=lock),
        lambda lock: forkful.Array("i", 2, lock=lock),
    ):
        with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
            make(Unmade())


def test_a_list_that_is_being_read_is_seen_by_nobody():
    for code in ("d", "h", ctypes.c_longdouble):
        made = forkful.Array(code, range(1000), lock=LooksAtAll())
        found = made[:]
        assert found == list(range(1000))
        assert gc.is_tracked(found)


class Refuses:
    def acquire(self):
        raise OSError("no lock today")

    def release(self):
        raise OSError("no release today")


def test_a_lock_that_fails_leaves_nothing():
    made = forkful.Array("d", 1000, lock=Refuses())
    for attempt in (lambda: made[:], lambda: made[0], lambda: made.__setitem__(0, 1)):
        with pytest.raises(OSError, match="no lock today"):
            attempt()
    Refuses.acquire = lambda self: None
    for attempt in (lambda: made[:], lambda: made[0], lambda: made.__setitem__(0, 1)):
        with pytest.raises(OSError, match="no release today"):
            attempt()


@pytest.mark.parametrize("kind", [synchronize.RLock, synchronize.Lock])
def test_the_locks_of_the_package_are_taken_without_a_call(kind):
    lock = kind()
    made = forkful.Array("i", [7], lock=lock)
    lock.acquire = lock.release = None  # what a call would find
    assert made[0] == 7


def double_all(made):
    for i in range(len(made)):
        with made.get_lock():
            made[i] *= 2


def test_an_array_is_shared(context):
    made = context.Array("i", range(100))
    children = [context.Process(target=double_all, args=(made,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert made[:] == [8 * i for i in range(100)]
    with made, made:
        made[0] += 1
    assert made.acquire() is True
    made.release()


def fill_raw(numbers, letters, words):
    numbers[:] = range(5)
    letters.value = b"abc"
    words[0] = "x"


def test_arrays_without_a_lock_are_shared(context):
    numbers, letters = context.RawArray("d", 5), context.RawArray("c", 10)
    words = context.RawArray("u", 3)
    child = context.Process(target=fill_raw, args=(numbers, letters, words))
    child.start()
    child.join()
    assert numbers[:] == [0, 1, 2, 3, 4]
    assert letters.value == b"abc"
    assert words[0] == "x"


def take_and_die(made, index):
    made.acquire()
    made.get_obj()[index] = 99
    kill_self()


@pytest.mark.parametrize("kind", ["RLock", "Lock"])
def test_a_dead_owner_of_the_lock_is_reported(context, kind):
    made = context.Array("i", [1, 2, 3], lock=getattr(context, kind)())
    child = context.Process(target=take_and_die, args=(made, 1))
    child.start()
    child.join()
    for attempt in (
        lambda: made[0],
        lambda: made[:],
        lambda: made.__setitem__(0, 5),
        lambda: made.__setitem__(slice(None), [0, 0, 0]),
        lambda: list(made),
    ):
        with pytest.raises(forkful.LockOwnerDied, match=r"an Array died .*recover\(\)"):
            attempt()
    assert len(made) == 3
    assert made.get_lock().recover() is True
    assert made.get_obj()[:] == [1, 99, 3]
    made.release()
    made[1] = 2
    assert made[:] == [1, 2, 3]


def write_for_ever(made, ready):
    made[0] = 1
    ready.set()
    number = 1
    while True:
        number += 1
        made[:] = [number] * len(made)


def test_a_killed_writer_leaves_an_array_that_can_be_used(context):
    for _ in range(5):
        made, ready = context.Array("q", 1000), context.Event()
        child = context.Process(target=write_for_ever, args=(made, ready))
        child.start()
        ready.wait()
        assert eventually(lambda: made[999] > 20)  # noqa: B023
        child.kill()
        child.join()
        try:
            values = made[:]
            assert values == [values[0]] * 1000
        except forkful.LockOwnerDied:
            assert made.get_lock().recover()
            made.release()
        made[:] = range(1000)
        assert made[:] == list(range(1000))


def test_reading_waits_for_the_lock():
    made, queue = forkful.Array("i", [1]), forkful.Queue()
    with made.get_lock():
        child = forkful.Process(target=lambda: queue.put(made[0]))
        child.start()
        made[0] = 2
        assert queue.empty()
        made[0] = 3
    assert queue.get(timeout=10) == 3
    child.join()


def test_an_array_travels_and_is_the_same_memory(context):
    queue = context.Queue()
    for made in (
        context.Array("i", [1, 2, 3]),
        context.RawArray("i", [1, 2, 3]),
        context.Array(ctypes.c_void_p, [1, 2, 3]),
        context.RawArray(ctypes.c_int.__ctype_be__, [1, 2, 3]),
    ):
        queue.put((made, made))
        twin, again = queue.get()
        assert twin is again
        twin[1] = 9
        assert made[:] == twin[:] == [1, 9, 3]
        assert type(twin) is type(made)
        pickle.loads(reduction.ForkingPickler.dumps(made))[1] = 5
        assert made[1] == 5
        if hasattr(made, "get_lock"):
            pickle.loads(pickle.dumps(made))[1] = 7
            assert made[1] == 7


def test_arrays_of_arrays_travel():
    queue = forkful.Queue()
    for kind in (ctypes.c_int * 3, ctypes.c_int * 3 * 2, ctypes.POINTER(ctypes.c_int) * 2):
        for made in (forkful.RawArray(kind, 4), forkful.Array(kind, 4)):
            queue.put(made)
            twin = queue.get()
            assert type(twin) is type(made)
            assert len(twin) == 4
    made = forkful.RawArray(ctypes.c_int * 3, 4)
    queue.put(made)
    queue.get()[1][2] = 5
    assert made[1][:] == [0, 0, 5]


def sum_sent(queue, results):
    total = 0
    for made in iter(queue.get, None):
        total += sum(made)
        made[0] = -1
    results.put(total)


def test_an_array_is_sent_to_a_process_that_runs(context):
    queue, results = context.Queue(), context.Queue()
    child = context.Process(target=sum_sent, args=(queue, results))
    child.start()
    arrays = [context.Array("i", [i, i]) for i in range(10)]
    for made in arrays:
        queue.put(made)
    queue.put(None)
    assert results.get(timeout=20) == 90
    child.join()
    assert [made[0] for made in arrays] == [-1] * 10


def test_memory_is_freed_with_the_last_holder():
    gc.collect()
    before = _core.heap_use()["bytes_used"]
    made = forkful.Array("d", 100_000)
    view = memoryview(made.get_obj())
    queue = forkful.SimpleQueue()
    queue.put(made)
    del made
    assert _core.heap_use()["bytes_used"] >= before + 800_000
    view.release()
    assert _core.heap_use()["bytes_used"] >= before + 800_000
    assert queue.get()[5] == 0
    del queue
    assert _core.heap_use()["bytes_used"] == before


def test_an_array_in_a_circle_is_freed():
    made = forkful.Array("d", 100_000)
    before = _core.heap_use()["bytes_used"]
    made.get_obj().itself = made
    seen = weakref.ref(made)
    del made
    gc.collect()
    assert seen() is None
    assert _core.heap_use()["bytes_used"] <= before - 800_000
