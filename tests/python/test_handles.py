"""Handles on their way: messages, tasks and results hold what they name, and no longer."""

from __future__ import annotations

import copy
import os
import pickle
import signal
from queue import Full

import forkful
import pytest
from forkful import _core, reduction
from helpers import eventually, run_python, start_python

MANY = 20_000
SLACK = 512 << 10  # runs of cells that stay cells, lists that have grown


def used() -> int:
    return _core.heap_use()["bytes_used"]


class Named(forkful.Queue().__class__):
    """A subclass with attributes of the names that adopting once used."""

    name = "mine"
    adopt = None


def _answer(requests):
    while (request := requests.get()) is not None:
        number, reply, lock, event, value, semaphore = request
        with lock:
            value.value = number
        semaphore.release()
        event.set()
        reply.put(2 * number)


def test_a_reply_queue_per_request_costs_no_memory_that_stays():
    requests = forkful.Queue()
    server = forkful.Process(target=_answer, args=(requests,))
    server.start()
    for number in range(MANY // 4):
        if number == 100:
            before = used()
        reply, value, event = forkful.Queue(), forkful.Value("i", 0), forkful.Event()
        semaphore = forkful.Semaphore(0)
        requests.put((number, reply, forkful.Lock(), event, value, semaphore))
        assert reply.get() == 2 * number
        assert event.wait(0) and semaphore.acquire(False) and value.value == number
    assert used() < before + SLACK
    requests.put(None)
    server.join()


def test_twenty_thousand_queues_that_nobody_reads_cost_no_memory_that_stays():
    queue = forkful.Queue()
    for number in range(MANY):
        if number == 100:
            before = used()
        queue.put(forkful.Queue())
        if number % 2:
            queue.get().put("unread")
            queue.get()
    assert used() < before + SLACK


def _echo(handle):
    return handle


def _make(number):
    queue = forkful.Queue()
    queue.put(number)
    return {"queue": queue, "value": forkful.Value("i", number)}


def test_handles_in_a_pools_tasks_and_results_cost_no_memory_that_stays():
    with forkful.Pool(2) as pool:
        for number in range(MANY // 4):
            if number == 100:
                before = used()
            queue = forkful.Queue()
            queue.put(number)
            assert pool.apply(_echo, (queue,)).get() == number
            made = pool.apply(_make, (number,))
            assert made["queue"].get() == made["value"].value == number
        assert used() < before + SLACK


def test_handles_in_a_pools_chunks_cost_no_memory_that_stays():
    with forkful.Pool(2) as pool:
        for turn in range(8):
            if turn == 2:
                before = used()
            given = [forkful.Value("i", n) for n in range(500)]
            for n, value in enumerate(pool.map(_echo, given, chunksize=100)):
                assert value.value == n
            for n, made in enumerate(pool.imap(_make, range(500), chunksize=50)):
                assert made["queue"].get() == n
            del given, value, made
        assert used() < before + SLACK


def test_the_method_of_a_queue_can_be_mapped_and_holds_it_while_tasks_wait():
    with forkful.Pool(2) as pool:
        for _turn in range(70):  # more than a worker keeps functions
            queue = forkful.Queue()
            result = pool.map_async(queue.put, range(10), chunksize=3)
            put = queue
            del queue
            result.get()
            assert sorted(put.get() for _ in range(10)) == list(range(10))


class Nested:
    """Sends a message of its own while it is pickled."""

    def __init__(self, through, handle):
        self.through = through
        self.handle = handle

    def __reduce__(self):
        self.through.put(forkful.Lock())
        return Nested, (self.through, self.handle)


def test_a_message_sent_while_another_is_encoded_holds_its_own():
    queue, through = forkful.Queue(), forkful.Queue()
    for number in range(2000):
        if number == 100:
            before = used()
        queue.put(Nested(through, forkful.Queue()))
        with through.get():
            pass
        queue.get().handle.put(1)
    assert used() < before + SLACK


class Unpicklable:
    def __reduce__(self):
        raise TypeError("not this one")


class Unreadable:
    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise ValueError("cannot be read")


def test_what_fails_in_the_middle_keeps_nothing():
    queue = forkful.Queue(1, strict=True)
    for number in range(300):
        if number == 20:
            before = used()
        with pytest.raises(TypeError, match="not this one"):
            queue.put([forkful.Queue(), Unpicklable()])
        queue.put([forkful.Queue(), Unreadable()])
        with pytest.raises(Full):
            queue.put(forkful.Queue(), timeout=0)
        with pytest.raises(ValueError, match="cannot be read"):
            queue.get()
    assert used() < before + SLACK


def test_a_queue_in_its_own_message_is_freed():
    for number in range(300):
        if number == 20:
            before = used()
        queue = forkful.Queue()
        queue.put({"reply to": queue})
        queue.put((queue, forkful.Lock()))
        queue.get()["reply to"].put(b"x" * 5000)
    del queue
    assert used() < before + SLACK


def _take_and_die(queue, how):
    if how == "unread":
        queue.get()
    elif how == "held":
        kept = queue.get()
        kept.put(1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("how", ["before", "unread", "held"])
def test_what_a_killed_receiver_had_is_given_back(how):
    for turn in range(12):
        if turn == 4:
            before = used()
        queue = forkful.Queue()
        for _ in range(50):
            queue.put(forkful.Queue())
        child = forkful.Process(target=_take_and_die, args=(queue, how))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        del queue
    assert eventually(lambda: used() < before + SLACK)


def test_a_pickle_made_by_hand_keeps_what_it_names():
    queue = forkful.Queue()
    queue.put("kept")
    by_hand = reduction.ForkingPickler.dumps((queue, forkful.Lock(), forkful.Value("i", 3)))
    del queue
    queue, lock, value = pickle.loads(by_hand)
    assert queue.get() == "kept" and value.value == 3
    assert lock.acquire(False)
    assert copy.copy(lock).acquire(False) is False


def test_a_subclass_with_a_name_of_its_own_can_be_sent():
    queue = forkful.Queue()
    sent = Named()
    sent.name = "changed"
    queue.put(sent)
    queue.get().put(7)
    assert sent.get() == 7


MAKE = """
    import sys, forkful
    from forkful import reduction
    handles = (forkful.Queue(), forkful.Lock(), forkful.RLock(), forkful.Semaphore(),
               forkful.Event(), forkful.Value("i", 1), forkful.RawValue("i", 1))
    print([bytes(reduction.ForkingPickler.dumps(each)).hex() for each in handles], flush=True)
    sys.stdin.read()
"""


def test_handles_of_another_family_are_refused_by_name():
    mine = [forkful.Queue(), forkful.Lock(), forkful.Value("i", 5)]
    with start_python(MAKE) as other:
        pickles = [bytes.fromhex(each) for each in eval(other.stdout.readline())]
        kinds = ["Queue", "Lock", "RLock", "Semaphore", "Event", "RLock|Value", "Value"]
        for each, kind in zip(pickles, kinds, strict=True):
            with pytest.raises(RuntimeError, match=f"this ({kind}) belongs to another family"):
                pickle.loads(each)
        # In a process without a family too, and the other family's handles live on.
        code = f"import pickle; pickle.loads({pickles[0]!r})"
        refused = run_python(code)
        assert refused.returncode == 1 and "this Queue belongs to another family" in refused.stderr
        other.stdin.close()
        assert other.wait() == 0
    assert mine[2].value == 5 and mine[0].empty()


def test_an_alien_handle_in_a_message_or_task_costs_that_one_only():
    with start_python(MAKE) as other:
        alien = Alien(bytes.fromhex(eval(other.stdout.readline())[0]))
        queue = forkful.Queue()
        queue.put(alien)
        queue.put("next")
        with pytest.raises(RuntimeError, match="another family"):
            queue.get()
        assert queue.get() == "next"
        with forkful.Pool(1) as pool:
            with pytest.raises(RuntimeError, match="another family"):
                pool.apply(_echo, (alien,))
            assert pool.apply(_echo, (1,)) == 1
        other.stdin.close()


class Alien:
    """Unpickles to what another family's pickle names."""

    def __init__(self, pickled):
        self.pickled = pickled

    def __reduce__(self):
        return pickle.loads, (self.pickled,)
