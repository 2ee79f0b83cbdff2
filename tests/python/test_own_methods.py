"""Classes that programs call in loops have the engine's methods as their own.

The interpreter specializes a call of a method of C only where the object is of the class that has
the method.
"""

from __future__ import annotations

import forkful
import pytest
from forkful import _core

OF_EACH = [
    (kind, name)
    for kind, names in {
        forkful.synchronize.Lock: "acquire release locked",
        forkful.synchronize.RLock: "acquire release locked",
        forkful.synchronize.Semaphore: "acquire release get_value",
        forkful.synchronize.BoundedSemaphore: "acquire release get_value",
        forkful.synchronize.Event: "set clear is_set wait",
        forkful.queues.Queue: "put get qsize",
        forkful.queues.JoinableQueue: "put get qsize",
        forkful.queues.SimpleQueue: "put get empty",
    }.items()
    for name in names.split()
]


@pytest.mark.parametrize(("kind", "name"), OF_EACH)
def test_the_method_is_of_the_very_class(kind, name):
    method = getattr(kind, name)
    assert method.__objclass__ is kind
    assert method.__doc__


def test_a_subclass_has_those_of_its_base():
    class Mine(forkful.synchronize.Lock):
        pass

    assert Mine.acquire is forkful.synchronize.Lock.acquire
    lock = Mine()
    with lock:
        assert lock.locked()


@pytest.mark.parametrize("kind", [forkful.synchronize.Lock, forkful.synchronize.RLock])
def test_a_method_that_a_program_puts_in_is_called_by_values_and_conditions(kind, monkeypatch):
    calls = []
    acquire = kind.acquire

    def counted(self, *args, **kwargs):
        calls.append(self)
        return acquire(self, *args, **kwargs)

    monkeypatch.setattr(kind, "acquire", counted)
    lock = kind()
    value = forkful.Value("i", lock=lock)
    value.value += 1
    assert calls == [lock, lock]
    condition = forkful.Condition(lock)
    with condition:
        condition.wait(0.001)
    assert calls == [lock] * 4


def test_what_is_overridden_stays():
    class Mine(_core.Event):
        def set(self):
            return "mine"

    kept = Mine.set
    assert _core.own_methods(Mine) is Mine
    assert Mine.set is kept
    assert Mine.wait.__objclass__ is Mine
    assert Mine().set() == "mine"


@pytest.mark.parametrize("thing", [int, 3, None])
def test_only_classes_of_python_can_get_methods(thing):
    with pytest.raises(TypeError, match="takes a class made in Python"):
        _core.own_methods(thing)
