"""What a queue has of a pipe: its ends, by which programs poll, select and close."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import selectors
import threading
import time
import warnings

import forkful
import pytest
from forkful import connection, queues
from helpers import await_condition, eventually, is_asleep, open_descriptors

KINDS = ["Queue", "SimpleQueue", "JoinableQueue"]


def is_readable(descriptor, seconds=0.0):
    return bool(select.select([descriptor], [], [], seconds)[0])


def put_later(queue, gate, items):
    gate.wait()
    for item in items:
        queue.put(item)


@pytest.mark.parametrize("kind", KINDS)
def test_polling_looks_and_takes_nothing(kind, context):
    queue, gate = getattr(context, kind)(), context.Event()
    assert queue._reader.poll() is False
    began = time.monotonic()
    assert queue._reader.poll(0.1) is False
    assert time.monotonic() - began > 0.09
    child = context.Process(target=put_later, args=(queue, gate, [1]))
    child.start()
    gate.set()
    assert queue._reader.poll(20) is True
    assert queue._reader.poll(None) is True
    assert queue._poll() is True
    assert queue.get() == 1
    assert queue._poll(0) is False
    child.join()


def test_whoever_polls_leaves_the_item_to_whoever_gets():
    queue, got = forkful.Queue(), []
    threads = [threading.Thread(target=queue._reader.poll, args=(None,)) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: got.append(queue.get())))
    for thread in threads:
        thread.start()
    await_condition(lambda: is_asleep(os.getpid()) or True)
    queue.put(1)
    threads[-1].join()
    assert got == [1]
    queue.put(2)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_the_descriptor_is_readable_while_there_is_an_item(kind):
    queue = getattr(forkful, kind)()
    reader = queue._reader
    assert not is_readable(reader)
    for _ in range(20):
        queue.put(1)
        queue.put(2)
        assert is_readable(reader, 20)
        assert queue.get() == 1
        assert is_readable(reader)
        assert queue.get() == 2
        assert not is_readable(reader)


def test_a_queue_that_had_items_before_is_readable_at_once():
    queue = forkful.Queue()
    queue.put(1)
    assert is_readable(queue._reader.fileno())


def test_items_of_another_process_are_found_by_select():
    queues_, gate = [forkful.Queue() for _ in range(2)], forkful.Event()
    children = [
        forkful.Process(target=put_later, args=(queue, gate, range(100))) for queue in queues_
    ]
    for child in children:
        child.start()
    gate.set()
    found = {queue: [] for queue in queues_}
    with selectors.DefaultSelector() as selector:
        for queue in queues_:
            selector.register(queue._reader, selectors.EVENT_READ, queue)
        while sum(map(len, found.values())) < 200:
            for key, _ in selector.select(20):
                found[key.data].append(key.data.get())  # does not wait: it is there
    assert list(found.values()) == [list(range(100))] * 2
    for child in children:
        child.join()


def test_an_event_loop_reads_a_queue():
    queue, gate, got = forkful.Queue(), forkful.Event(), []
    child = forkful.Process(target=put_later, args=(queue, gate, range(50)))
    child.start()

    async def read():
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def take():
            got.append(queue.get())
            if len(got) == 50:
                done.set()

        loop.add_reader(queue._reader.fileno(), take)
        gate.set()
        await asyncio.wait_for(done.wait(), 20)
        loop.remove_reader(queue._reader.fileno())

    asyncio.run(read())
    assert got == list(range(50))
    child.join()


def test_whoever_waits_for_a_process_too_finds_what_it_has_put(context):
    for _ in range(10):
        queue, gate = context.Queue(), context.Event()
        gate.set()
        child = context.Process(target=put_later, args=(queue, gate, ["result"]))
        child.start()
        assert queue._reader in connection.wait([queue._reader, child.sentinel], 20)
        assert queue.get() == "result"
        assert connection.wait([queue._reader], 0) == []
        child.join()


def test_a_look_finds_what_was_put_before_it():
    queue, there = forkful.Queue(), forkful.Event()
    queue._reader.fileno()

    def put():
        queue.put(1)
        there.set()

    child = forkful.Process(target=put)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    there.wait()
    assert is_readable(queue._reader)
    child.join()


def test_what_other_processes_take_is_noticed():
    queue = forkful.Queue()
    queue.put(1)
    reader = queue._reader
    assert is_readable(reader, 20)
    child = forkful.Process(target=queue.get)
    child.start()
    child.join()
    assert eventually(lambda: not is_readable(reader))


def watch_in_child(queue, results):
    reader = queue._reader
    assert not is_readable(reader)
    queue.put(1)
    results.put(is_readable(reader, 20))
    queue.get()
    results.put(is_readable(reader))


def test_a_forked_child_has_a_descriptor_of_its_own():
    queue, results = forkful.Queue(), forkful.SimpleQueue()
    queue._reader.fileno()
    child = forkful.Process(target=watch_in_child, args=(queue, results))
    child.start()
    child.join()
    assert (child.exitcode, results.get(), results.get()) == (0, True, False)
    assert eventually(lambda: not is_readable(queue._reader))


def test_a_queue_that_was_shut_down_is_readable():
    queue = forkful.Queue()
    reader = queue._reader
    assert not is_readable(reader)
    queue.shutdown()
    assert is_readable(reader, 20)
    with pytest.raises(forkful.ShutDown):
        queue.get()


def watching():
    return [each for each in threading.enumerate() if each.name == "forkful-queue-watch"]


def test_no_descriptor_and_no_thread_outlives_the_queue(no_descriptor_stays_behind):
    for kind in KINDS:
        queue = getattr(forkful, kind)()
        queue._reader.fileno()
        queue._writer.fileno()
        assert len([each for each in open_descriptors().values() if "eventfd" in each]) >= 2
        del queue
    gc.collect()
    assert eventually(lambda: not watching())


def test_an_end_is_the_same_object_while_somebody_has_it():
    queue = forkful.SimpleQueue()
    reader, writer = queue._reader, queue._writer
    assert queue._reader is reader
    assert queue._writer is writer
    assert select.select([reader], [writer], [], 0) == ([], [writer], [])
    assert (reader.readable, reader.writable, writer.readable) == (True, False, False)


def test_items_go_through_the_ends():
    queue = forkful.SimpleQueue()
    queue._writer.send({"a": 1})
    assert queue._reader.recv() == {"a": 1}
    queue.put([1, 2])
    queue._writer.send_bytes(queue._reader.recv_bytes())
    assert queue.get() == [1, 2]
    for call in (queue._writer.recv, queue._writer.poll, lambda: queue._reader.send(1)):
        with pytest.raises(OSError, match="only"):
            call()


def test_closing_one_end_leaves_the_other():
    queue = forkful.SimpleQueue()
    queue.put(1)
    queue._writer.close()
    assert (queue._writer.closed, queue._reader.closed) == (True, False)
    with pytest.raises(OSError, match="handle is closed"):
        queue.put(2)
    assert queue.get() == 1
    queue._reader.close()
    for call in (queue.get, queue.empty, queue._reader.fileno, queue._reader.poll):
        with pytest.raises(OSError, match="handle is closed"):
            call()


def test_a_closed_simple_queue_refuses_everything_by_oserror():
    queue = forkful.SimpleQueue()
    queue.close()
    queue.close()
    assert queue._reader.closed
    assert queue._writer.closed
    for call in (queue.get, queue.empty, lambda: queue.put(1)):
        with pytest.raises(OSError, match="is closed"):
            call()
    assert not isinstance(queue, queues.Queue)


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_a_closed_queue_tells_that_it_is_empty_only_if_it_was_not_used(kind):
    unused, used = getattr(forkful, kind)(), getattr(forkful, kind)()
    used.put("foo")
    for queue in (unused, used):
        queue.close()
        queue.join_thread()
        for call in (queue.get, lambda queue=queue: queue.put(1)):
            with pytest.raises(ValueError, match="is closed"):
                call()
    assert unused.empty()
    with pytest.raises(OSError, match="is closed"):
        used.empty()
    assert used.qsize() == 1


def test_there_is_no_thread_to_join():
    queue = forkful.Queue()
    with pytest.raises(AssertionError, match="not closed"):
        queue.join_thread()
    queue.cancel_join_thread()
    queue.put(1)
    assert (len(queue._buffer), queue._thread) == (0, None)
    assert queue._sem._semlock._get_value() == queue._maxsize - 1
    queue.close()
    queue.join_thread()


class Selectable(queues.SimpleQueue):
    """As programs write it."""

    def __init__(self):
        super().__init__(ctx=forkful.get_context())

    def fileno(self):
        return self._reader.fileno()

    def get(self):
        with self._rlock:
            return self._reader.recv()


def test_a_subclass_uses_the_ends():
    queue = Selectable()
    queue.put(1)
    assert is_readable(queue, 20)
    assert queue.get() == 1
    assert not is_readable(queue)
