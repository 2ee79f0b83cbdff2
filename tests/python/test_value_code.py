"""Values whose classes run code of their own while they are written or read."""

from __future__ import annotations

import copyreg
import dataclasses
import gc
import pickle
import signal
import sys
import threading

import forkful
import pytest
from forkful.reduction import ForkingPickler
from value_kinds import ByFunction, Colour, Plain, Row, WithError, hook_instance, same, through


@pytest.fixture(scope="module")
def pool():
    with forkful.Pool(2) as made:
        yield made


@pytest.fixture
def queue():
    return forkful.SimpleQueue()


class Registered:
    def __init__(self, value=0):
        self.value = value


def reduce_registered(made):
    return Registered, (made.value + 1,)


class CopyRegistered(Registered):
    pass


def reduce_copy_registered(made):
    return CopyRegistered, (made.value + 10,)


def test_registered_reducers_are_used_by_queue_and_pool(queue):
    ForkingPickler.register(Registered, reduce_registered)
    copyreg.pickle(CopyRegistered, reduce_copy_registered)
    try:
        assert through(queue, [Registered()])[0].value == 1
        assert through(queue, CopyRegistered()).value == 10
        with forkful.Pool(1) as pool:
            assert [each.value for each in pool.map(same, [Registered(), Registered(5)])] == [2, 7]
            assert [each.value for each in pool.map(same, [CopyRegistered()])] == [20]
        ForkingPickler.register(CopyRegistered, reduce_registered)
        assert type(through(queue, CopyRegistered())) is Registered
    finally:
        ForkingPickler._extra_reducers.pop(Registered, None)
        ForkingPickler._extra_reducers.pop(CopyRegistered, None)
        copyreg.dispatch_table.pop(CopyRegistered, None)


def test_a_reducer_on_the_instance_is_used(queue):
    first = Plain(a=1)
    assert through(queue, [first, hook_instance()]) == [first, ByFunction(5)]


class Bad:
    def __init__(self, how):
        self.how = how

    def __reduce__(self):
        if self.how == "interrupt":
            raise KeyboardInterrupt
        if self.how == "exit":
            raise SystemExit(3)
        if self.how == "answer":
            return 5
        raise WithError(self.how)


class BadState(Plain):
    def __setstate__(self, state):
        raise WithError(f"cannot be {state}")


def fail_some(i):
    if i == 3:
        return [Row(1, "b", 2.0), Bad("raise")]
    if i == 5:
        return [Row(2, "b", 2.0), lambda: 1]
    if i == 7:
        return [BadState(a=1), Row(3, "c", 3.0)]
    if i == 9:
        return [{"key": Bad("answer")}]
    return {"row": Row(i, "a", 1.0), "key": i}


def test_results_that_cannot_travel_cost_only_themselves_in_a_chunk():
    with forkful.Pool(1) as pool:
        results = pool.imap(fail_some, range(12), chunksize=12)
        for i in range(12):
            if i in (3, 5, 9):
                with pytest.raises(forkful.pool.MaybeEncodingError):
                    next(results)
            elif i == 7:
                with pytest.raises(WithError):
                    next(results)
            else:
                assert next(results) == {"row": Row(i, "a", 1.0), "key": i}
        assert pool.map(fail_some, [0, 1]) == [
            {"row": Row(i, "a", 1.0), "key": i} for i in range(2)
        ]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raise", WithError),
        ("interrupt", KeyboardInterrupt),
        ("exit", SystemExit),
        ("answer", pickle.PicklingError),
    ],
)
def test_an_error_of_a_reducer_is_the_callers_and_the_queue_lives_on(queue, how, error):
    with pytest.raises(error):
        queue.put([Row(1, "a", 1.0), Bad(how)])
    assert through(queue, [Row(1, "a", 1.0)]) == [Row(1, "a", 1.0)]


def _local():
    class Local:
        pass

    return [Local(), lambda: 1, sys, (i for i in ()), threading.Lock()]


@pytest.mark.parametrize("which", range(5))
def test_what_pickle_refuses_is_refused_with_its_error(queue, which):
    value = _local()[which]
    with pytest.raises(Exception) as want:
        ForkingPickler.dumps({"a": [value]})
    with pytest.raises(type(want.value)) as got:
        queue.put({"a": [value]})
    assert str(got.value) == str(want.value)
    assert queue.empty()


class Reenters:
    def __init__(self, queue, value):
        self.queue, self.value = queue, value

    def __reduce__(self):
        self.queue.put([Row(1, "inner", 1.0), {"k": self.value}])
        return Reenters.back, (self.value,)

    @staticmethod
    def back(value):
        return value


class ReentersBack:
    def __init__(self, queue):
        self.queue = queue

    def __getstate__(self):
        return {"queue": self.queue}

    def __setstate__(self, state):
        self.got = state["queue"].get()


def test_code_of_a_value_may_use_the_same_queue(queue):
    queue.put([Row(0, "a", 0.0), Reenters(queue, 5), Row(0, "b", 0.0)])
    assert queue.get() == [Row(1, "inner", 1.0), {"k": 5}]
    assert queue.get() == [Row(0, "a", 0.0), 5, Row(0, "b", 0.0)]
    queue.put([{"a": 1}, ReentersBack(queue), {"a": 2}])
    queue.put([Row(7, "x", 1.0)])
    got = queue.get()
    assert got[0] == {"a": 1}
    assert got[1].got == [Row(7, "x", 1.0)]
    assert got[2] == {"a": 2}


class Mutates:
    """Changes the container it is in while that is being written."""

    def __init__(self, change):
        self.change = change

    def __reduce__(self):
        self.change()
        return int, ()


def test_containers_that_change_while_they_are_written_do_no_harm(queue):
    items = [1, None, *([[]] * 50)]
    items[1] = Mutates(lambda: items.clear())
    queue.put(items)
    assert queue.get() == [1, 0]
    grows = [None]
    grows[0] = Mutates(lambda: grows.extend(["x"] * 3))
    queue.put(grows)
    assert queue.get() == [0, "x", "x", "x"]
    table = {i: [i] for i in range(50)}
    table[0] = Mutates(lambda: table.clear())
    with pytest.raises(RuntimeError, match="changed size"):
        queue.put(table)
    members = {1, 2}
    members.add(_HashedMutates(lambda: members.clear()))
    with pytest.raises(RuntimeError, match="changed size"):
        queue.put({"a": members})
    assert through(queue, [1]) == [1]


class _HashedMutates(Mutates):
    __hash__ = object.__hash__


class Looks:
    """Looks at the list it is in while that is being read."""

    def __init__(self, items):
        self.items = items

    def __getstate__(self):
        return {"items": self.items}

    def __setstate__(self, state):
        self.seen = len(state["items"])
        state["items"].append("looked")
        gc.collect()
        for each in gc.get_objects():
            if type(each) in (list, tuple):
                len(each)


def test_a_list_can_be_used_while_it_is_read(queue):
    items: list[object] = [1, 2]
    items += [Looks(items), 3, (4, Looks(items))]
    got = through(queue, items)
    assert got[0:2] == [1, 2]
    assert got.count("looked") == 2
    assert 3 in got


def test_threads_that_use_one_queue_and_one_pool_do_not_mix_values(pool):
    queue = forkful.SimpleQueue()
    errors = []

    def run(number):
        try:
            for i in range(200):
                value = {"who": number, "rows": [Row(i, str(number), 1.0)] * 3}
                queue.put([_Yields(number), value])
                got = queue.get()
                assert got[0] == got[1]["who"] == int(got[1]["rows"][0].name)
            for _ in range(5):
                rows = [Row(i, str(number), 2.0) for i in range(20)]
                assert pool.map(same, rows) == rows
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []


class _Yields:
    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        ready = threading.Event()
        threading.Thread(target=ready.set).start()
        ready.wait()
        return int, (self.number,)


class Forks:
    def __reduce__(self):
        child = forkful.Process(target=_use_a_queue)
        child.start()
        child.join()
        return int, (child.exitcode,)


def _use_a_queue():
    queue = forkful.SimpleQueue()
    assert through(queue, {"a": Row(1, "a", 1.0)}) == {"a": Row(1, "a", 1.0)}


def test_a_child_forked_while_a_value_is_written_writes_its_own(queue):
    assert through(queue, [Row(1, "a", 1.0), Forks(), Row(2, "a", 1.0)]) == [
        Row(1, "a", 1.0),
        0,
        Row(2, "a", 1.0),
    ]


@dataclasses.dataclass
class Replaced:
    id: int


def test_a_class_replaced_between_messages_is_found_anew(queue):
    global Replaced
    first = Replaced
    queue.put(Replaced(1))
    try:
        Replaced = dataclasses.make_dataclass("Replaced", ["id", ("more", int, 5)])
        Replaced.__module__ = __name__
        got = queue.get()
        assert type(got) is Replaced
        with pytest.raises(pickle.PicklingError):
            queue.put([first(1)])
    finally:
        Replaced = first


def killed_at(i):
    if i == 6:
        signal.raise_signal(signal.SIGKILL)
    return [Row(i, "a", 1.0), {"key": i}, Colour.RED]


def test_a_death_in_a_chunk_costs_one_item_and_the_others_can_be_read():
    with forkful.Pool(1) as pool:
        results = pool.imap(killed_at, range(12), chunksize=12)
        for i in range(12):
            if i == 6:
                with pytest.raises(forkful.WorkerDied):
                    next(results)
            else:
                assert next(results) == [Row(i, "a", 1.0), {"key": i}, Colour.RED]
