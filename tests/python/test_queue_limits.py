"""Queues at their limits: sizes, numbers, and what they leave behind."""

from __future__ import annotations

import gc
import os

import forkful
import pytest
from forkful import _core
from helpers import (
    no_new_files,
    open_descriptors,
    resident_bytes,
    run_python,
    shared_memory_files,
)

MIB = 1 << 20


def used_bytes():
    gc.collect()
    return _core.heap_use()["bytes_used"]


def test_a_message_of_64_mib_arrives_and_is_given_back():
    there, back = forkful.Queue(), forkful.Queue()
    before = used_bytes()
    block = os.urandom(MIB) * 64
    child = forkful.Process(target=lambda: back.put(there.get()[::-1]))
    child.start()
    there.put(block)
    same = back.get(timeout=30) == block[::-1]  # not in the assert, which would print it
    assert same
    child.join()
    assert used_bytes() - before < MIB


def test_messages_of_64_mib_again_and_again_use_no_more_memory():
    queue = forkful.Queue()
    block = bytes(64 * MIB)

    def pass_some(count):
        for _ in range(count):
            queue.put(block)
            assert len(queue.get()) == len(block)

    pass_some(2)
    used, resident = used_bytes(), resident_bytes()
    pass_some(5)
    assert used_bytes() - used < MIB
    assert resident_bytes() - resident < 32 * MIB


def test_a_million_small_messages_wait_unread_and_are_given_back():
    before = used_bytes()
    queue = forkful.Queue()
    for i in range(1_000_000):
        queue.put(i)
    assert queue.qsize() == 1_000_000
    for i in range(1_000_000):
        if queue.get() != i:
            pytest.fail(f"item {i} is another one")
    assert used_bytes() - before < 2 * MIB  # the living queue keeps its last chunk
    del queue
    assert used_bytes() - before < MIB


def test_a_dropped_queue_gives_back_what_nobody_read():
    before = used_bytes()
    descriptors = open_descriptors()
    for _ in range(3):
        queue = forkful.Queue()
        for _ in range(100_000):
            queue.put("an item that nobody reads")
        queue.put(bytes(20 * MIB))
        del queue
    assert used_bytes() - before < MIB
    assert open_descriptors() == descriptors


def test_ten_thousand_queues_leave_nothing_behind():
    def make_and_drop(count):
        for _ in range(count):
            queue = forkful.Queue()
            queue.put(1)

    make_and_drop(1000)
    files, descriptors = shared_memory_files(), open_descriptors()
    used, resident = used_bytes(), resident_bytes()
    make_and_drop(10_000)
    assert used_bytes() == used
    assert resident_bytes() - resident < 4 * MIB
    assert open_descriptors() == descriptors
    assert no_new_files(files)


def test_ten_thousand_queues_can_live_at_once():
    def use_many():
        queues = [forkful.Queue() for _ in range(10_000)]
        for i, queue in enumerate(queues):
            queue.put(i)
        child = forkful.Process(target=lambda: queues[0].put(sum(q.get() for q in queues[1:])))
        child.start()
        child.join()
        assert queues[0].get() == 0
        assert queues[0].get() == sum(range(1, 10_000))

    use_many()
    used, descriptors = used_bytes(), open_descriptors()
    use_many()
    assert used_bytes() == used
    assert open_descriptors() == descriptors


def test_locks_values_and_events_leave_nothing_behind():
    def make_and_drop(count):
        for _ in range(count):
            forkful.Lock(), forkful.RLock(), forkful.Semaphore(), forkful.Event()
            forkful.Value("d", 1.0)

    make_and_drop(100)
    used, descriptors = used_bytes(), open_descriptors()
    make_and_drop(2000)
    assert used_bytes() == used
    assert open_descriptors() == descriptors


def test_what_an_exited_child_held_is_given_back():
    def make_many(queue):
        kept = [forkful.Queue() for _ in range(100)]
        for each in kept:
            each.put(bytes(10_000))
        queue.put(len(kept))
        os._exit(0)  # nothing is taken apart in order

    queue = forkful.Queue()

    def run_one():
        child = forkful.Process(target=make_many, args=(queue,))
        child.start()
        child.join()
        assert queue.get(timeout=5) == 100

    run_one()
    used = used_bytes()
    for _ in range(3):
        run_one()
    assert used_bytes() - used < MIB


def test_exit_with_unread_items_is_prompt():
    done = run_python(
        """
        import forkful
        queue = forkful.Queue()
        for i in range(100_000):
            queue.put("x" * 100)
        queue.put(bytes(50_000_000))
        def put_more():
            for i in range(1000):
                queue.put(i)
        child = forkful.Process(target=put_more)
        child.start()
        child.join()
        assert queue.qsize() == 101_001
    """,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_items_of_a_child_that_exited_stay_readable():
    queue = forkful.Queue()

    def put_and_exit():
        for i in range(100):
            queue.put(("item", i))
        os._exit(0)

    child = forkful.Process(target=put_and_exit)
    child.start()
    child.join()
    assert [queue.get_nowait() for _ in range(100)] == [("item", i) for i in range(100)]


def test_no_thread_serves_a_queue():
    done = run_python("""
        import forkful, os, threading
        queue = forkful.Queue()
        for _ in range(1000):
            queue.put(bytes(10_000))
        assert len(os.listdir("/proc/self/task")) == threading.active_count() == 1
    """)
    assert (done.returncode, done.stderr) == (0, "")
