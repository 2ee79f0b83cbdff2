"""JoinableQueue: which items are done with, and who waits for that."""

from __future__ import annotations

import os
import pickle
import queue as standard_queue
import signal
import threading

import forkful
import pytest
from forkful import queues
from helpers import await_condition, is_asleep


def work(queue, done):
    for item in iter(queue.get, None):
        with done.get_lock():
            done.value += item
        queue.task_done()
    queue.task_done()


def test_join_waits_for_all_items(context):
    queue, done = context.JoinableQueue(), context.Value("i", 0)
    children = [context.Process(target=work, args=(queue, done)) for _ in range(3)]
    for child in children:
        child.start()
    for _ in range(5):
        for _ in range(200):
            queue.put(1)
        queue.join()
    assert done.value == 1000
    for _ in children:
        queue.put(None)
    queue.join()
    for child in children:
        child.join()
    assert queue.empty()


def test_an_empty_queue_is_joined_at_once():
    queue = forkful.JoinableQueue()
    queue.join()
    queue.put(1)
    assert queue.get() == 1
    queue.task_done()
    queue.join()


def test_more_done_than_put_is_refused():
    queue = forkful.JoinableQueue()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
            queue.task_done()
    queue.put("x")
    queue.task_done()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
    queue.join()


def test_it_is_a_queue_in_everything_else(context):
    queue = context.JoinableQueue(2)
    assert isinstance(queue, queues.Queue)
    assert queue._maxsize == 2
    queue.put(1)
    queue.put(2)
    assert queue.full()
    with pytest.raises(standard_queue.Full):
        queue.put_nowait(3)
    assert (queue.get(), queue.get_nowait(), queue.qsize()) == (1, 2, 0)
    with pytest.raises(standard_queue.Empty):
        queue.get(timeout=0.01)
    queue.close()
    queue.join_thread()
    with pytest.raises(ValueError, match="is closed"):
        queue.put(1)


def test_it_can_be_sent():
    queue, carrier = forkful.JoinableQueue(), forkful.Queue()
    carrier.put(queue)
    for twin in (carrier.get(), pickle.loads(pickle.dumps(queue))):
        twin.put(1)
        assert queue.get() == 1
        assert twin._unfinished_tasks.get_value() == 1
        queue.task_done()
        twin.join()
        assert twin._unfinished_tasks._semlock._is_zero()


class Labelled(queues.JoinableQueue):
    def __init__(self, label, *args, **kwargs):
        super().__init__(*args, ctx=forkful.get_context(), **kwargs)
        self.label = label


def test_a_subclass_has_a_constructor_of_its_own():
    queue = Labelled("x", 3)
    assert (queue.label, queue._maxsize) == ("x", 3)
    twin = pickle.loads(pickle.dumps(queue))
    twin.put(5)
    assert (type(twin), queue.get()) == (Labelled, 5)
    twin.task_done()
    queue.join()


def test_an_item_that_was_dropped_does_not_count(capsys):
    queue = forkful.JoinableQueue()
    queue.put(lambda: threading.Lock())
    assert "has dropped an item" in capsys.readouterr().err
    queue.join()


def get_and_die(queue, ready):
    queue.get()
    ready.set()
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_item_whose_receiver_dies_stays_unfinished_until_somebody_says_so():
    queue, ready = forkful.JoinableQueue(), forkful.Event()
    queue.put(1)
    child = forkful.Process(target=get_and_die, args=(queue, ready))
    child.start()
    child.join()
    waiter = threading.Thread(target=queue.join)
    waiter.start()
    waiter.join(0.1)
    assert waiter.is_alive()
    queue.task_done()
    waiter.join()


def test_shutting_down_at_once_leaves_nothing_to_wait_for():
    queue = forkful.JoinableQueue()
    for i in range(3):
        queue.put(i)
    assert queue.get() == 0
    queue.shutdown(immediate=True)
    assert queue._unfinished_tasks.get_value() == 1
    queue.task_done()
    queue.join()
    with pytest.raises(forkful.ShutDown):
        queue.put(4)
    with pytest.raises(forkful.ShutDown):
        queue.get()


def interrupt(pid):
    await_condition(lambda: is_asleep(pid))
    os.kill(pid, signal.SIGINT)


def test_ctrl_c_ends_a_join():
    queue = forkful.JoinableQueue()
    queue.put(1)
    child = forkful.Process(target=interrupt, args=(os.getpid(),))
    child.start()
    with pytest.raises(KeyboardInterrupt):
        queue.join()
    child.join()
    queue.task_done()
    queue.join()
