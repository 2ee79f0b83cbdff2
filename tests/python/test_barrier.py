"""Barrier: its rounds, its action, and what breaks it."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import threading
import time

import forkful
import pytest
from forkful import synchronize
from helpers import await_condition, is_asleep, kill_self, stay

Broken = threading.BrokenBarrierError


def meet(barrier, results, rounds=1, timeout=None):
    for _ in range(rounds):
        try:
            results.put(barrier.wait(timeout))
        except Broken:
            results.put("broken")


def start_parties(context, barrier, results, number, rounds=1):
    children = [
        context.Process(target=meet, args=(barrier, results, rounds)) for _ in range(number)
    ]
    for child in children:
        child.start()
    return children


def join_all(children):
    for child in children:
        child.join()


def test_all_parties_meet_again_and_again(context):
    barrier, results = context.Barrier(3), context.Queue()
    children = start_parties(context, barrier, results, 2, 200)
    meet(barrier, results, 200)
    join_all(children)
    assert sorted(results.get() for _ in range(600)) == sorted([0, 1, 2] * 200)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_nobody_goes_on_before_all_have_come(context):
    barrier, results = context.Barrier(3), context.Queue()
    children = start_parties(context, barrier, results, 2)
    await_condition(lambda: barrier.n_waiting == 2)
    assert results.empty()
    assert barrier.wait() == 2
    join_all(children)
    assert sorted(results.get() for _ in range(2)) == [0, 1]


class Action:
    """What the last one calls: it travels with the barrier."""

    def __init__(self, value):
        self.value = value

    def __call__(self):
        self.value.value += 1


def test_the_last_one_runs_the_action_before_anybody_goes_on(context):
    value, results = context.Value("i", 0), context.Queue()
    barrier = context.Barrier(2, Action(value))
    children = start_parties(context, barrier, results, 1, 50)
    for i in range(50):
        barrier.wait()
        assert i + 1 <= value.value <= i + 2
    join_all(children)
    assert value.value == 50


def fail():
    raise ZeroDivisionError("in the action")


def test_an_action_that_raises_breaks_the_barrier():
    barrier, results = forkful.Barrier(2, fail), forkful.Queue()
    children = start_parties(forkful, barrier, results, 1)
    await_condition(lambda: barrier.n_waiting == 1)
    with pytest.raises(ZeroDivisionError, match="in the action"):
        barrier.wait()
    assert results.get(timeout=10) == "broken"
    assert barrier.broken
    join_all(children)


@pytest.mark.parametrize("by_default", [True, False])
def test_a_party_that_waits_too_long_breaks_it_for_all(by_default):
    barrier = forkful.Barrier(2, timeout=0.1 if by_default else 60)
    began = time.monotonic()
    with pytest.raises(Broken, match="after reset"):
        barrier.wait() if by_default else barrier.wait(0.1)
    assert 0.09 <= time.monotonic() - began < 5
    for _ in range(2):
        with pytest.raises(Broken):
            barrier.wait()
    barrier.reset()
    assert not barrier.broken
    with pytest.raises(Broken):
        barrier.wait(0)


def test_abort_and_reset(context):
    barrier, results = context.Barrier(3), context.Queue()
    for end in (barrier.abort, barrier.reset):
        children = start_parties(context, barrier, results, 2)
        await_condition(lambda: barrier.n_waiting == 2)
        end()
        assert [results.get(timeout=10) for _ in range(2)] == ["broken"] * 2
        join_all(children)
        assert barrier.broken is (end == barrier.abort)
        barrier.reset()
        children = start_parties(context, barrier, results, 2)
        assert barrier.wait() in range(3)
        join_all(children)
        assert "broken" not in [results.get() for _ in range(2)]


@pytest.mark.parametrize("parties", [0, -1, 2**23, 2**40])
def test_a_number_of_parties_that_cannot_be_is_refused(parties):
    with pytest.raises(ValueError, match="parties must be"):
        forkful.Barrier(parties)


def test_one_party_meets_itself():
    barrier = forkful.Barrier(1)
    assert [barrier.wait(), barrier.wait(0)] == [0, 0]


def test_it_can_be_sent_with_its_action_and_timeout(context):
    value = context.Value("i", 0)
    barrier, queue = context.Barrier(2, Action(value), 30), context.Queue()
    queue.put(barrier)
    twins = [queue.get(), pickle.loads(pickle.dumps(barrier)), copy.copy(barrier)]
    for twin in twins:
        assert (twin.parties, twin._timeout) == (2, 30)
        thread = threading.Thread(target=twin.wait)
        thread.start()
        barrier.wait()
        thread.join()
    assert value.value == 3
    assert isinstance(barrier, threading.Barrier)
    assert "waiters=0/2" in repr(barrier)


class Named(synchronize.Barrier):
    def __init__(self, name):
        super().__init__(2, ctx=forkful.get_context())
        self.name = name


def test_a_subclass_has_a_constructor_of_its_own():
    barrier = Named("x")
    assert (barrier.name, barrier.parties) == ("x", 2)
    twin = pickle.loads(pickle.dumps(barrier))
    assert type(twin) is Named


def test_a_party_that_is_killed_while_it_waits_breaks_it():
    barrier, results = forkful.Barrier(3), forkful.Queue()
    doomed, other = start_parties(forkful, barrier, results, 2)
    await_condition(lambda: barrier.n_waiting == 2)
    began = time.monotonic()
    doomed.kill()
    doomed.join()
    assert results.get(timeout=10) == "broken"
    assert time.monotonic() - began < 5
    other.join()
    with pytest.raises(Broken):
        barrier.wait()


def test_the_last_one_finds_that_another_was_killed():
    barrier, results = forkful.Barrier(2), forkful.Queue()
    (doomed,) = start_parties(forkful, barrier, results, 1)
    await_condition(lambda: barrier.n_waiting == 1)
    doomed.kill()
    doomed.join()
    with pytest.raises(Broken):
        barrier.wait(20)


def test_one_that_is_killed_in_its_action_breaks_it():
    barrier, results = forkful.Barrier(2, kill_self), forkful.Queue()
    (other,) = start_parties(forkful, barrier, results, 1)
    await_condition(lambda: barrier.n_waiting == 1)
    child = forkful.Process(target=barrier.wait)
    child.start()
    child.join()
    assert results.get(timeout=10) == "broken"
    other.join()


def interrupt(pid, barrier):
    await_condition(lambda: barrier.n_waiting == 1 and is_asleep(pid))
    os.kill(pid, signal.SIGINT)


def test_ctrl_c_ends_a_wait_and_breaks_the_barrier():
    barrier = forkful.Barrier(2)
    child = forkful.Process(target=interrupt, args=(os.getpid(), barrier))
    child.start()
    with pytest.raises(KeyboardInterrupt):
        barrier.wait()
    assert barrier.broken
    child.join()


def test_a_late_comer_waits_for_the_action_and_no_longer_than_it_says():
    barrier, results = forkful.Barrier(1, stay), forkful.Queue()
    child = forkful.Process(target=barrier.wait)
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    with pytest.raises(Broken):
        barrier.wait(0.1)
    child.kill()
    child.join()
    assert results.empty()
