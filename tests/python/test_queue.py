"""Queue: order, bounds and time limits."""

from __future__ import annotations

import queue as standard_queue
import threading
import time

import forkful
import pytest
from helpers import await_condition, is_asleep


def test_items_come_in_the_order_they_were_put():
    queue = forkful.Queue()
    for i in range(5000):
        queue.put(i)
    assert queue.qsize() == 5000
    assert [queue.get() for _ in range(5000)] == list(range(5000))
    assert queue.empty()


def produce(queue, who, count):
    for i in range(count):
        queue.put((who, i))


def consume(queue, results):
    seen = []
    while (item := queue.get()) is not None:
        seen.append(item)
    results.put(seen)


@pytest.mark.parametrize("maxsize", [0, 7])
def test_producers_and_consumers_lose_and_repeat_nothing(context, maxsize):
    queue, results = context.Queue(maxsize), context.Queue()
    producers = [context.Process(target=produce, args=(queue, who, 1000)) for who in range(3)]
    consumers = [context.Process(target=consume, args=(queue, results)) for _ in range(3)]
    for process in producers + consumers:
        process.start()
    for process in producers:
        process.join()
    for _ in consumers:
        queue.put(None)
    seen = [results.get(timeout=20) for _ in consumers]
    for process in consumers:
        process.join()
    assert sorted(item for items in seen for item in items) == [
        (who, i) for who in range(3) for i in range(1000)
    ]
    for items in seen:
        for who in range(3):
            of_one = [i for w, i in items if w == who]
            assert of_one == sorted(of_one)


def test_threads_share_a_queue():
    queue, results = forkful.Queue(3), forkful.Queue()
    threads = [threading.Thread(target=produce, args=(queue, who, 200)) for who in range(3)]
    threads += [threading.Thread(target=consume, args=(queue, results)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads[:3]:
        thread.join()
    for _ in range(2):
        queue.put(None)
    for thread in threads[3:]:
        thread.join()
    assert sum(len(results.get(timeout=5)) for _ in range(2)) == 600


def test_a_bounded_queue_is_full_and_empty_again():
    queue = forkful.Queue(maxsize=2)
    assert (queue.empty(), queue.full(), queue.qsize()) == (True, False, 0)
    queue.put(1)
    queue.put(2, True, 1)
    assert (queue.empty(), queue.full(), queue.qsize()) == (False, True, 2)
    for refused in (
        lambda: queue.put_nowait(3),
        lambda: queue.put(3, False),
        lambda: queue.put(3, block=False),
        lambda: queue.put(3, timeout=0.01),
        lambda: queue.put(3, True, 0),
        lambda: queue.put(obj=3, block=True, timeout=-1),
    ):
        with pytest.raises(standard_queue.Full):
            refused()
    assert queue.get(True, 1) == 1
    queue.put(3)
    assert [queue.get_nowait(), queue.get(False)] == [2, 3]
    for refused in (
        queue.get_nowait,
        lambda: queue.get(False),
        lambda: queue.get(block=False),
        lambda: queue.get(timeout=0.01),
        lambda: queue.get(True, 0.0),
    ):
        with pytest.raises(standard_queue.Empty):
            refused()


def test_time_limits_are_kept():
    queue = forkful.Queue(1)
    for wait, error in (
        (lambda: queue.get(timeout=0.1), standard_queue.Empty),
        (lambda: queue.put(1, timeout=0.1), standard_queue.Full),
    ):
        began = time.monotonic()
        with pytest.raises(error):
            wait()
        assert 0.09 < time.monotonic() - began < 3
        queue.put(1) if queue.empty() else None


def test_a_blocked_put_goes_on_when_there_is_room(context):
    queue = context.Queue(1)
    queue.put(0)
    child = context.Process(target=queue.put, args=(1,))
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    assert queue.qsize() == 1
    assert queue.get() == 0
    assert queue.get(timeout=5) == 1
    child.join()


def put_all(queue, sizes):
    for size in sizes:
        queue.put(b"x" * size)


def test_join_before_get_is_safe_at_any_size(context):
    for sizes in ([10_000_000], [100] * 100_000):
        queue = context.Queue()
        child = context.Process(target=put_all, args=(queue, sizes))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert [len(queue.get()) for _ in sizes] == sizes
