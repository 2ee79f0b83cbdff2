"""Subclasses with constructors of their own, as programs for multiprocessing have them."""

from __future__ import annotations

import copy
import pickle

import forkful
import pytest
from forkful import queues, synchronize


class Counted(queues.Queue):
    """The portable queue of many programs: it counts by itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, ctx=forkful.get_context(), **kwargs)
        self.size = forkful.Value("i", 0)

    def __getstate__(self):
        return {"parent_state": super().__getstate__(), "size": self.size}

    def __setstate__(self, state):
        super().__setstate__(state["parent_state"])
        self.size = state["size"]

    def put(self, *args, **kwargs):
        with self.size.get_lock():
            self.size.value += 1
        super().put(*args, **kwargs)


class Labelled(queues.SimpleQueue):
    """Arguments that mean nothing to the base."""

    def __init__(self, label, *args, **kwargs):
        kwargs["ctx"] = forkful.get_context("fork")
        super().__init__(*args, **kwargs)
        self.label = label


class Named(synchronize.Lock):
    def __init__(self, name):
        super().__init__(ctx=forkful.get_context())
        self.name = name  # a name that the base must not need


class Flag(synchronize.Event):
    def __init__(self, label):
        super().__init__(ctx=forkful.get_context())
        self.label = label


class Permits(synchronize.BoundedSemaphore):
    def __init__(self):
        super().__init__(2)


class Twice(queues.Queue):
    """Made anew by its state alone, after a constructor that makes another queue."""

    def __reduce__(self):
        return type(self), (), self.__getstate__()


def test_a_subclass_chooses_its_arguments():
    counted, labelled = Counted(3), Labelled("x")
    assert counted._maxsize == 3
    counted.put("a", timeout=1)
    counted.put(obj="b")
    assert (counted.size.value, counted.get(), counted.get(timeout=1)) == (2, "a", "b")
    labelled.put(1)
    assert (labelled.label, labelled.get(), labelled.empty()) == ("x", 1, True)
    lock, flag, permits = Named("mine"), Flag("up"), Permits()
    with lock:
        assert (lock.name, lock.locked()) == ("mine", True)
    flag.set()
    assert (flag.wait(0), flag.label) == (True, "up")
    permits.acquire()
    permits.release()
    with pytest.raises(ValueError, match="too many times"):
        permits.release()


def test_a_child_uses_a_subclass():
    queue = Counted()
    child = forkful.Process(target=queue.put, args=("from the child",))
    child.start()
    assert queue.get(timeout=10) == "from the child"
    child.join()
    assert queue.size.value == 1


@pytest.mark.parametrize("travel", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy])
def test_a_pickled_subclass_keeps_its_class_and_what_the_standard_keeps(travel):
    counted = travel(Counted(5))
    assert (type(counted), counted._maxsize, counted.size.value) == (Counted, 5, 0)
    original = Labelled("x")
    labelled = travel(original)
    original.put(1)
    assert (type(labelled), labelled.get()) == (Labelled, 1)
    assert not hasattr(labelled, "label")
    lock = Named("mine")
    twin = travel(lock)
    with lock:
        assert (type(twin), twin.acquire(False)) == (Named, False)
    flag = Flag("up")
    twin = travel(flag)
    flag.set()
    assert (type(twin), twin.label, twin.is_set()) == (Flag, "up", True)
    twice = Twice()
    twin = travel(twice)
    twice.put(1)
    assert twin.get(timeout=1) == 1


MADE = [
    (queues.Queue, ()),
    (queues.SimpleQueue, ()),
    (synchronize.Lock, ()),
    (synchronize.RLock, ()),
    (synchronize.Semaphore, ()),
    (synchronize.BoundedSemaphore, ()),
    (synchronize.Event, ()),
    (type(forkful.Value("i")), ("i", None)),
]
TAKEN = ["name", "id", "adopt", "handle", "state", "set_state", "pin", "shared"]


@pytest.mark.parametrize(
    ("base", "arguments"), MADE, ids=lambda each: getattr(each, "__name__", "")
)
@pytest.mark.parametrize("how", ["attributes", "methods", "properties"])
def test_no_name_of_a_subclass_stands_in_the_way(base, arguments, how):
    """What ours calls of a user's object to send it is private, so any public name is free."""

    def refuse(self, *_):
        raise AssertionError("this is the program's own")

    members = {
        "attributes": dict.fromkeys(TAKEN, "mine"),
        "methods": dict.fromkeys(TAKEN, refuse),
        "properties": dict.fromkeys(TAKEN, property(refuse)),
    }[how]
    kind = type("Own", (base,), {**members, "__module__": __name__})
    globals()["Own"] = kind  # where a pickle finds it
    original = kind(*arguments)
    if how == "attributes":
        for name in TAKEN:
            setattr(original, name, "mine")
    through = forkful.Queue(strict=True)
    through.put([original, original])
    first, second = through.get(timeout=10)
    assert first is second
    assert type(first) is kind
    assert type(pickle.loads(pickle.dumps(original))) is kind
    child = forkful.Process(target=through.put, args=(original,))
    child.start()
    assert type(through.get(timeout=10)) is kind
    child.join()


class Unmade(queues.Queue):
    def __init__(self):
        pass


@pytest.mark.parametrize(
    "made",
    [
        Unmade,
        *(
            lambda kind=kind: kind.__new__(kind)
            for kind in (
                queues.Queue,
                queues.SimpleQueue,
                synchronize.Lock,
                synchronize.RLock,
                synchronize.Semaphore,
                synchronize.BoundedSemaphore,
                synchronize.Event,
                type(forkful.Value("i")),
            )
        ),
    ],
)
def test_an_object_that_was_never_made_raises_and_does_not_crash(made):
    thing = made()
    tried = 0
    for name in dir(thing):
        if name in ("__init__", "__class__", "__getstate__", "__del__"):
            continue
        try:
            attribute = getattr(thing, name)
            if callable(attribute):
                attribute()
        except Exception as error:
            tried += "__init__() has not run" in str(error)
    assert tried >= 3
    with pytest.raises(RuntimeError, match=r"__init__\(\) has not run: .* super\(\).__init__\(\)"):
        pickle.dumps(thing)
    del thing


def test_a_second_constructor_call_makes_another_one():
    queue = queues.Queue()
    queue.put(1)
    queue.__init__(2)
    assert (queue.qsize(), queue._maxsize) == (0, 2)
    lock = forkful.Lock()
    lock.acquire()
    lock.__init__()
    assert not lock.locked()


def test_generic_aliases_exist_for_annotations():
    assert queues.SimpleQueue[int].__origin__ is queues.SimpleQueue
    assert queues.Queue[int].__origin__ is queues.Queue
