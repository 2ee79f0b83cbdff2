"""A pickler of the program's own in the place of `_ForkingPickler`, as recipes with dill do it."""

from __future__ import annotations

import pickle

import cloudpickle
import forkful
import pytest
from forkful import connection, queues, reduction


class ByValue:
    dumps = staticmethod(cloudpickle.dumps)
    loads = staticmethod(pickle.loads)


class Marked(reduction.ForkingPickler):
    def reducer_override(self, obj):
        return (str, (f"<{obj.real}>",)) if isinstance(obj, complex) else NotImplemented


def add_to(number):
    return lambda more: number + more


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue", "JoinableQueue"])
def test_queues_write_by_it(context, monkeypatch, kind):
    queue = getattr(context, kind)()
    with monkeypatch.context() as changed:
        changed.setattr(queues, "_ForkingPickler", ByValue)
        queue.put(add_to(3))
        queue.put(["a list", {1: context.Lock()}])
        assert queue.get()(4) == 7
        words, locks = queue.get()
        assert words == "a list" and locks[1].acquire(False)
    with pytest.raises((pickle.PicklingError, AttributeError), match="add_to"):
        forkful.Queue(strict=True).put(add_to(3))
    queue.put([1, {2}])
    assert queue.get() == [1, {2}]


def test_it_gets_what_the_engine_would_have_written_itself(monkeypatch):
    queue = forkful.Queue()
    monkeypatch.setattr(queues, "_ForkingPickler", Marked)
    queue.put([1 + 2j, "text"])
    queue.put(5)
    assert queue.get() == ["<1.0>", "text"]
    assert queue.get() == 5


def test_pools_write_by_it(monkeypatch):
    monkeypatch.setattr(queues, "_ForkingPickler", ByValue)
    context = forkful.get_context("fork")
    with context.Pool(2) as pool:
        assert [made(1) for made in pool.map(add_to, range(3))] == [1, 2, 3]
    with forkful.ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(add_to, 5).result()(1) == 6


def test_connections_write_by_another_one(context, monkeypatch):
    one, other = context.Pipe()
    with monkeypatch.context() as changed:
        changed.setattr(connection, "_ForkingPickler", ByValue)
        one.send(add_to(3))
        assert other.recv()(4) == 7
    with pytest.raises((pickle.PicklingError, AttributeError), match="add_to"):
        one.send(add_to(3))
