"""Queue classes of programs whose state is the ends of a pipe, as joblib's are, have a pipe."""

from __future__ import annotations

import gc
import pickle
import queue as plain
import threading

import forkful
import pytest
from forkful import queues
from forkful.connection import Connection


class PipeQueue(queues.Queue):
    """Hands the ends of its pipe over, and a mark of its own."""

    def __init__(self, maxsize=0, mark=None, ctx=None):
        super().__init__(maxsize=maxsize, ctx=ctx)
        self.mark = mark

    def __getstate__(self):
        ends = self._reader, self._writer, self._rlock, self._wlock, self._sem
        return (*ends, self._ignore_epipe, self._maxsize, self._opid, self.mark)

    def __setstate__(self, state):
        self._reader, self._writer, self._rlock, self._wlock, self._sem, *rest = state
        self._ignore_epipe, self._maxsize, self._opid, self.mark = rest
        self._reset()


class PipeSimpleQueue(queues.SimpleQueue):
    def __getstate__(self):
        return self._reader, self._writer, self._rlock, self._wlock

    def __setstate__(self, state):
        self._reader, self._writer, self._rlock, self._wlock = state


class Derived(PipeQueue):
    """Its state is its base's."""


KINDS = [PipeQueue, PipeSimpleQueue, Derived]


def answer(questions, answers):
    while (question := questions.get()) is not None:
        answers.put((question, type(questions).__name__, getattr(questions, "mark", None)))


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_to_children(context, kind):
    questions, answers = kind(ctx=context), kind(ctx=context)
    questions.mark = "mine"
    child = context.Process(target=answer, args=(questions, answers))
    child.start()
    for number in range(100):
        questions.put(number)
    expected = "mine" if kind is not PipeSimpleQueue else None
    if context.get_start_method() == "fork":
        expected = "mine"
    got = [answers.get() for _ in range(100)]
    assert got == [(number, kind.__name__, expected) for number in range(100)]
    questions.put(None)
    child.join()
    assert child.exitcode == 0
    for each in (questions, answers):
        each.close()


@pytest.mark.parametrize("kind", KINDS)
def test_its_ends_are_those_of_a_pipe(kind):
    made = kind(ctx=forkful.get_context("fork"))
    assert type(made._reader) is type(made._writer) is Connection
    made.put("text")
    assert made._reader.poll(10)
    assert not made.empty()
    assert pickle.loads(made._reader.recv_bytes()) == "text"
    assert made.empty()
    made.close()


def test_it_has_a_bound():
    made = PipeQueue(2)
    made.put(1)
    made.put(2)
    assert (made.qsize(), made.full()) == (2, True)
    with pytest.raises(plain.Full):
        made.put(3, timeout=0.01)
    with pytest.raises(plain.Full):
        made.put_nowait(3)
    assert [made.get(timeout=10), made.get()] == [1, 2]
    with pytest.raises(plain.Empty):
        made.get(timeout=0.01)
    with pytest.raises(plain.Empty):
        made.get_nowait()
    made.close()
    made.join_thread()
    with pytest.raises(ValueError, match="closed"):
        made.put(1)
    with pytest.raises(ValueError, match="closed"):
        made.get()


def test_what_cannot_be_pickled_costs_itself_alone(capfd):
    made = PipeQueue(1)
    made.put(threading.Lock())
    made.put("after it", timeout=10)
    assert made.get() == "after it"
    assert "cannot pickle" in capfd.readouterr().err
    made.close()
    made.join_thread()


def test_a_thread_of_the_program_can_send():
    class Counting(PipeQueue):
        def _start_thread(self):
            self.started = True
            super()._start_thread()

    made = Counting()
    made.put(3)
    assert made.get() == 3
    assert made.started
    made.close()
    made.join_thread()


def test_its_thread_ends_with_it():
    made = PipeQueue()
    made.put(1)
    thread = made._thread
    assert made.get() == 1
    del made
    gc.collect()
    thread.join(20)
    assert not thread.is_alive()


def test_the_other_queues_have_none():
    class Marked(queues.Queue):
        def __getstate__(self):
            return super().__getstate__(), 1

    made = Marked()
    made.put(1)
    assert made._thread is None
    assert made.get() == 1
    assert queues._sentinel is queues._sentinel
