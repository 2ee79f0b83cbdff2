"""Queues whose users are killed: nothing hangs, nothing half-written is seen, memory comes back."""

from __future__ import annotations

import gc
import os
import signal
import time

import forkful
import pytest
from forkful import _core
from helpers import await_condition, is_asleep

MIB = 1 << 20


def test_a_consumer_killed_inside_get_harms_nobody():
    queue = forkful.Queue()
    for _ in range(3):
        consumers = [forkful.Process(target=queue.get) for _ in range(2)]
        for consumer in consumers:
            consumer.start()
        for consumer in consumers:
            await_condition(lambda pid=consumer.pid: is_asleep(pid))
        consumers[0].kill()
        consumers[0].join()
        queue.put("for the survivor")
        consumers[1].join(10)
        assert consumers[1].exitcode == 0
        queue.put("for us")
        assert queue.get(timeout=10) == "for us"


def test_a_producer_killed_in_a_full_queue_harms_nobody():
    queue = forkful.Queue(1)
    queue.put("first")
    producers = [forkful.Process(target=queue.put, args=(i,)) for i in range(2)]
    for producer in producers:
        producer.start()
        await_condition(lambda pid=producer.pid: is_asleep(pid))
    producers[0].kill()
    producers[0].join()
    assert queue.get() == "first"
    assert queue.get(timeout=10) == 1
    producers[1].join(10)
    assert producers[1].exitcode == 0
    assert queue.empty()


def put_for_ever(queue, block):
    while True:
        queue.put(block)
        queue.get()


@pytest.mark.timeout(120)
def test_a_producer_killed_mid_put_of_64_mib_leaves_no_half_message(seeded):
    queue = forkful.Queue()
    block = os.urandom(MIB) * 64
    used = None
    for _ in range(12):
        child = forkful.Process(target=put_for_ever, args=(queue, block))
        child.start()
        time.sleep(seeded.uniform(0.0, 0.1))  # Why: the moment of the kill is the test
        child.kill()
        child.join()
        for _ in range(queue.qsize()):
            assert queue.get(timeout=10) == block
        assert queue.empty()
        queue.put("alive")
        assert queue.get(timeout=10) == "alive"
        gc.collect()
        now = _core.heap_use()["bytes_used"]
        used = now if used is None else used
        assert now - used < MIB, "the dead producer's block was not given back"


def count_up(queue, size):
    number = 0
    while True:
        queue.put((number, b"x" * size))
        number += 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("size", [1, 2000, 20_000])
def test_a_producer_killed_anywhere_leaves_whole_messages_in_order(seeded, size):
    queue = forkful.Queue()
    for _ in range(25):
        child = forkful.Process(target=count_up, args=(queue, size))
        child.start()
        await_condition(lambda: not queue.empty())
        time.sleep(seeded.uniform(0.0, 0.004))  # Why: the moment of the kill is the test
        child.kill()
        child.join()
        for number in range(queue.qsize()):
            assert queue.get(timeout=10) == (number, b"x" * size)
        assert queue.empty()


def pass_on(source, target):
    while True:
        target.put(source.get())


@pytest.mark.timeout(120)
def test_a_consumer_killed_anywhere_loses_at_most_what_it_took(seeded):
    for _ in range(25):
        source, target = forkful.Queue(), forkful.Queue()
        for number in range(3000):
            source.put(number)
        child = forkful.Process(target=pass_on, args=(source, target))
        child.start()
        await_condition(lambda q=target: not q.empty())
        time.sleep(seeded.uniform(0.0, 0.004))  # Why: the moment of the kill is the test
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        passed = [target.get() for _ in range(target.qsize())]
        left = [source.get() for _ in range(source.qsize())]
        assert passed == list(range(len(passed)))
        assert left == list(range(3000 - len(left), 3000))
        assert 3000 - len(passed) - len(left) <= 1


def test_a_stopped_consumer_does_not_stop_the_others():
    queue = forkful.Queue()
    stopped = forkful.Process(target=queue.get)
    stopped.start()
    await_condition(lambda: is_asleep(stopped.pid))
    os.kill(stopped.pid, signal.SIGSTOP)
    for i in range(100):
        queue.put(i)
    assert [queue.get(timeout=10) for _ in range(99)] == list(range(99))
    os.kill(stopped.pid, signal.SIGCONT)
    stopped.join(10)
    assert stopped.exitcode == 0
    assert queue.empty()
