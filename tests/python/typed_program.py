"""A program of a user's, for mypy --strict: what the package makes has types. It also runs."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, assert_type

import forkful
from forkful import (
    connection,
    context,
    futures,
    managers,
    pool,
    process,
    queues,
    sharedctypes,
    synchronize,
)


def square(number: int) -> int:
    return number * number


def join(first: str, second: str) -> str:
    return first + second


def take_buffer(buffer: bytes | bytearray | memoryview) -> None:
    """As functions of NumPy are declared."""
    assert memoryview(buffer).nbytes >= 12


def produce(queue: queues.Queue[str], count: sharedctypes.Synchronized[int]) -> None:
    queue.put("text")
    with count.get_lock():
        count.value += 1


def work(jobs: forkful.Queue, answers: forkful.Queue[int], ends: forkful.SimpleQueue[str]) -> None:
    """The queues are classes to a checker, as those of multiprocessing are."""
    assert_type(jobs.get(timeout=10), Any)
    answers.put(3)
    ends.put("done")


def use_annotations(counted: forkful.JoinableQueue[int] | None = None) -> None:
    jobs, answers, ends = forkful.Queue(), forkful.Queue(), forkful.SimpleQueue()
    jobs.put(None)
    child: forkful.Process = forkful.Process(target=work, args=(jobs, answers, ends))
    child.start()
    assert answers.get(timeout=10) == 3
    assert ends.get() == "done"
    child.join()
    counted = counted or forkful.JoinableQueue(1, strict=True)
    counted.put(1)
    assert_type(counted.get(), int)
    counted.task_done()
    counted.join()


def use_queues() -> None:
    assert_type(forkful.Queue(3), queues.Queue[Any])
    assert_type(forkful.SimpleQueue(), queues.SimpleQueue[Any])
    words: queues.Queue[str] = forkful.Queue()
    count = forkful.Value("i", 0)
    child = forkful.Process(target=produce, args=(words, count), daemon=True)
    child.start()
    assert_type(words.get(timeout=10), str)
    child.join()
    assert_type(child.exitcode, int | None)
    assert_type(count.value, int)
    assert count.value == 1


def count(counts: managers.DictProxy[str, int], lock: threading.Lock) -> None:
    with lock:
        counts["all"] += 1


def use_managers() -> None:
    with forkful.Manager() as manager:
        assert_type(manager, managers.SyncManager)
        counts: managers.DictProxy[str, int] = manager.dict(all=0)
        lock = manager.Lock()
        child = forkful.Process(target=count, args=(counts, lock))
        child.start()
        child.join()
        assert_type(counts["all"], int)
        assert counts["all"] == 1
        names: managers.ListProxy[str] = manager.list()
        names += ["Ann"]
        assert_type(names[0], str)
        assert_type(names[:], list[str])
        assert_type(manager.dict({1: "one"}).items(), list[tuple[int, str]])
        assert_type(manager.set([1]), managers.SetProxy[int])
        assert_type(manager.Value("i", 3).value, int)
        assert_type(manager.Queue().empty(), bool)


def use_locks() -> None:
    lock = forkful.Lock(policy="recover")
    assert_type(lock, synchronize.Lock)
    with lock as held:
        assert_type(held, bool)
    assert_type(forkful.RLock(), synchronize.RLock)
    assert_type(forkful.Semaphore(2).acquire(timeout=1.5), bool)
    assert_type(forkful.BoundedSemaphore(), synchronize.BoundedSemaphore)
    assert_type(forkful.Event().wait(0), bool)
    assert_type(forkful.Value("d", 1.5).value, float)
    assert_type(forkful.Value("i", 3).fetch_add(1), int)
    assert_type(forkful.Value(ctypes.c_int, 3).compare_exchange(3, 4), bool)
    assert_type(forkful.Value(ctypes.c_bool, True).value, bool)
    assert_type(forkful.Value(ctypes.c_int, lock=False), ctypes.c_int)
    assert_type(forkful.RawValue("i", 3).value, int)


class Point(ctypes.Structure):
    x: int
    _fields_ = (("x", ctypes.c_int),)


def use_arrays() -> None:
    numbers = forkful.Array("d", 3)
    assert_type(numbers, sharedctypes.SynchronizedArray[float])
    numbers[0] = 1.5
    assert_type(numbers[0], float)
    assert_type(list(numbers), list[float])
    assert_type(forkful.Array(ctypes.c_int, [1, 2])[1], int)
    assert_type(forkful.Array("c", b"abc"), sharedctypes.SynchronizedString)
    assert_type(forkful.Array("c", 3).value, bytes)
    assert_type(forkful.Array(Point, 2)[0].x, int)
    assert_type(forkful.RawArray(ctypes.c_int, 3), ctypes.Array[ctypes.c_int])
    # These go into np.frombuffer(), which knows no ctypes arrays.
    take_buffer(forkful.RawArray("d", 3))
    take_buffer(forkful.Array("i", 3, lock=False))
    take_buffer(numbers.get_obj())
    assert_type(forkful.Array(ctypes.c_int, 3, lock=False), ctypes.Array[ctypes.c_int])
    assert_type(forkful.RawArray(Point, 3)[0], Point)


def use_pools() -> None:
    with forkful.Pool(1) as workers:
        assert_type(workers, pool.Pool)
        assert_type(workers.apply(square, (3,)), int)
        assert_type(workers.map(square, [1, 2]), list[int])
        assert_type(workers.starmap(join, [("a", "b")]), list[str])
        result = workers.apply_async(square, (3,), callback=abs, timeout=60)
        assert_type(result, pool.AsyncResult[int])
        assert_type(result.get(), int)
        assert_type(workers.map_async(square, [1]).get(), list[int])
        for each in workers.imap(square, range(3)):
            assert_type(each, int)
        assert_type(workers.imap_unordered(square, range(3)).next(10), int)


def use_executors() -> None:
    with forkful.ProcessPoolExecutor(1) as executor:
        assert_type(executor, futures.ProcessPoolExecutor)
        assert_type(executor.submit(square, 3).result(), int)
        for each in executor.map(square, [1, 2], timeout=60):
            assert_type(each, int)


def use_what_waits() -> None:
    assert_type(forkful.Condition(), synchronize.Condition)
    assert_type(forkful.Barrier(1).wait(1), int)
    assert_type(forkful.JoinableQueue(), queues.JoinableQueue[Any])
    one, other = forkful.Pipe()
    assert_type(one, connection.Connection)
    one.send("text")
    assert_type(other.poll(1), bool)


def use_wrongly(words: queues.Queue[str], workers: pool.Pool) -> None:
    """Is not called: a checker refuses each of these, or says that its mark is needless."""
    words.put(3)  # type: ignore[arg-type]
    forkful.Queue(maxsze=3)  # type: ignore[call-arg]
    words.get(wait=1)  # type: ignore[call-arg]
    workers.map(square, ["text"])  # type: ignore[arg-type]
    forkful.Lock(polcy="block")  # type: ignore[call-arg]
    forkful.Proces(target=square)  # type: ignore[attr-defined]
    pool.Pol(1)  # type: ignore[attr-defined]
    process.curent_process()  # type: ignore[attr-defined]
    assert_type(forkful.pool.ThreadPool(1), pool.ThreadPool)  # it is there without its import


def use_contexts() -> None:
    fork = forkful.get_context("fork")
    assert_type(fork, context.ForkContext)
    assert_type(forkful.get_context("spawn"), context.SpawnContext)
    assert_type(fork.get_context("forkserver"), context.ForkServerContext)
    assert_type(forkful.get_context(), context.BaseContext)
    assert_type(forkful.get_context(str(fork.get_start_method())), context.BaseContext)
    assert_type(forkful.get_start_method(), str)
    assert_type(forkful.get_start_method(allow_none=True), str | None)
    assert_type(fork.Queue(), queues.Queue[Any])
    assert_type(fork.Process(target=square, args=(1,)), context.ForkProcess)
    assert_type(forkful.current_process(), process.BaseProcess)
    assert_type(forkful.cpu_count(), int)
    assert_type(forkful.get_all_start_methods(), list[str])


def main() -> None:
    use_queues()
    use_annotations()
    use_managers()
    use_locks()
    use_arrays()
    use_pools()
    use_contexts()
    use_executors()
    use_what_waits()
    print("typed")


if __name__ == "__main__":
    main()
