"""What arrives is what pickle would have given, of every kind, by every way."""

from __future__ import annotations

import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import io
import pathlib
import pickle
import re
import signal
import sys
import threading
import uuid

import forkful
import pytest
from forkful.reduction import ForkingPickler


@dataclasses.dataclass
class Row:
    id: int
    name: str
    score: float


@dataclasses.dataclass(frozen=True, slots=True)
class Slim:
    x: int
    y: str


@dataclasses.dataclass
class WithDefault:
    tags: list[str] = dataclasses.field(default_factory=list)
    parent: object = None


Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return type(other) is Slots and (self.a, self.b) == (other.a, other.b)


class SlotsAndDict(Slots):
    def __eq__(self, other):
        return type(other) is SlotsAndDict and vars(self) == vars(other) and self.a == other.a


class Plain:
    def __init__(self, **values):
        self.__dict__.update(values)

    def __eq__(self, other):
        return type(other) is type(self) and vars(self) == vars(other)


class WithState(Plain):
    def __getstate__(self):
        return {"kept": self.kept}

    def __setstate__(self, state):
        self.__dict__.update(state, restored=True)


class OnlySetState(Plain):
    def __setstate__(self, state):
        self.__dict__.update(state)
        self.seen = sorted(state)


class NewArgs(str):
    def __new__(cls, text, *, extra):
        self = super().__new__(cls, text)
        self.extra = extra
        return self

    def __getnewargs_ex__(self):
        return (str(self),), {"extra": self.extra}


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyInt(int):
    pass


class MySet(set):
    pass


class MyTuple(tuple):
    pass


class ByFunction:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return _by_function, (self.value,)

    def __eq__(self, other):
        return isinstance(other, ByFunction) and self.value == other.value


def _by_function(value):
    return ByFunction(value)


class WithSetter(Plain):
    def __reduce_ex__(self, protocol):
        return _new_with_setter, (), dict(vars(self)), None, None, _set_with_setter


def _new_with_setter():
    return WithSetter()


def _set_with_setter(made, state):
    made.__dict__.update(state, by_setter=True)


class Singleton:
    def __reduce__(self):
        return "THE_ONE"


THE_ONE = Singleton()


class Outer:
    class Inner:
        def __init__(self):
            self.value = 3

        def __eq__(self, other):
            return type(other) is Outer.Inner

    def method(self):
        return 7


class Appended(collections.deque):
    pass


class WithError(Exception):
    pass


def _hook_instance():
    made = Plain(a=1)
    made.__reduce_ex__ = lambda protocol: (_by_function, (5,))
    return made


def _kinds():
    long_text = "x" * 10_000
    return {
        "none": None,
        "long ints": [1 << 62, 1 << 63, -(1 << 63), -(1 << 64), 1 << 5000, -(1 << 5000), 0],
        "floats": [0.0, -0.0, 1e308, float("inf")],
        "complex": 3 + 4j,
        "texts": ["", "a", "é", "日本", "😀", "\ud800", "x" * 63, "x" * 64, long_text, "日" * 5000],
        "bytes": [b"", b"a", bytes(5000), bytearray(b"abc"), bytearray(100_000)],
        "nested": {"a": [1, (2, {3: {4}}), frozenset({5, 6})], (1, 2): {}, None: [[], (), set()]},
        "long list": list(range(5000)),
        "long tuple": tuple(range(500)),
        "tuple of dicts": ({"a": 1}, {"a": 2}),
        "long dict": {str(i): i for i in range(3000)},
        "keys": {"é": 1, "k" * 47: 2, "k" * 48: 3, "k" * 49: 4, b"k": 5, 1.5: 6, True: 7},
        "dates": [
            datetime.date(2020, 1, 1),
            datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
            datetime.timedelta(3),
            datetime.time(3, 4),
        ],
        "decimal": decimal.Decimal("1.25"),
        "fraction": fractions.Fraction(1, 3),
        "row": Row(1, "a", 0.5),
        "rows": [Row(i, f"n{i}", i / 2) for i in range(20)],
        "slim": Slim(1, "b"),
        "default": WithDefault(["a"], WithDefault()),
        "empty": Plain(),
        "namedtuple": Point(1, [2]),
        "enum": [Colour.RED, Colour.GREEN, Flags.A | Flags.B],
        "slots": Slots(1, [2]),
        "both": SlotsAndDict(1, 2),
        "state": WithState(kept=1, dropped=2),
        "only setstate": OnlySetState(a=1),
        "only setstate, empty": OnlySetState(),
        "setter": WithSetter(a=1),
        "newargs": NewArgs("text", extra=[1]),
        "my list": MyList([1, 2]),
        "my dict": MyDict(a=1),
        "my int": MyInt(5),
        "my set": MySet({1}),
        "my tuple": MyTuple((1, 2)),
        "ordered": collections.OrderedDict(b=1, a=2),
        "default dict": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("abca"),
        "deque": collections.deque(range(2500), 3000),
        "appended": Appended([1, 2]),
        "by function": ByFunction([1]),
        "singleton": THE_ONE,
        "classes": [int, Row, Outer.Inner, type(None), type(Ellipsis), collections.OrderedDict],
        "functions": [len, _by_function, Outer.method, dict.fromkeys],
        "constants": [Ellipsis, NotImplemented],
        "inner": Outer.Inner(),
        "partial": functools.partial(int, base=2)("101"),
        "range": [range(3), slice(1, 2, 3)],
        "path": pathlib.PurePosixPath("/a/b"),
        "uuid": uuid.UUID(int=5),
        "pattern": re.compile("a+"),
        "chain": collections.ChainMap({"a": 1}, {}),
        "hook on an instance": Plain(__getstate__=None) if False else Plain(_a=1, b=2),
        "bytes io": io.BytesIO(b"abc").getvalue(),
        "iterators": list(iter([1, 2])),
    }


KINDS = _kinds()


def _shape(value):
    """`value` as text, with types, so that 1 and True and equal subclasses differ."""
    if isinstance(value, dict):
        items = [(_shape(k), _shape(v)) for k, v in value.items()]
        return (type(value).__name__, items, _shape(getattr(value, "__dict__", None)))
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, sorted(map(repr, value)))
    if isinstance(value, (list, tuple, collections.deque)):
        return (type(value).__name__, [_shape(each) for each in value])
    if hasattr(value, "__dict__") and not callable(value) and not isinstance(value, enum.Enum):
        return (type(value).__name__, {k: _shape(v) for k, v in vars(value).items()})
    return (
        type(value).__name__,
        repr(value) if type(value).__repr__ is not object.__repr__ else "",
    )


def same(value):
    return value


def same_args(*args):
    return args


@pytest.fixture(scope="module")
def pool():
    with forkful.Pool(2) as made:
        yield made


@pytest.fixture
def queue():
    return forkful.SimpleQueue()


def _through(queue, value):
    queue.put(value)
    return queue.get()


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_gives_what_pickle_gives(queue, kind):
    value = KINDS[kind]
    want = pickle.loads(pickle.dumps(value))
    got = _through(queue, value)
    assert _shape(got) == _shape(want)
    assert got == want


@pytest.mark.parametrize("way", ["map", "map one by one", "starmap", "imap", "apply", "async"])
def test_a_pool_gives_what_pickle_gives(pool, way):
    values = list(KINDS.values())
    if way == "map":
        got = pool.map(same, values)
    elif way == "map one by one":
        got = pool.map(same, values, chunksize=1)
    elif way == "starmap":
        got = [each for (each,) in pool.starmap(same_args, [(value,) for value in values])]
    elif way == "imap":
        got = list(pool.imap(same, values, chunksize=7))
    elif way == "apply":
        got = [pool.apply(same, (value,)) for value in values]
    else:
        got = [pool.apply_async(same, (), {"value": value}) for value in values]
        got = [each.get(60) for each in got]
    there = [pickle.loads(pickle.dumps(value)) for value in values]
    want = [pickle.loads(pickle.dumps(value)) for value in there]
    assert list(map(_shape, got)) == list(map(_shape, want))
    assert got == want


def test_identity_within_a_value_arrives(queue):
    shared, text, row = [1], "t" * 100, Row(1, "a", 2.0)
    one, two, three = _through(queue, ([shared, text, row], {"a": shared, "b": text}, (row, row)))
    assert one[0] is two["a"]
    assert one[1] is two["b"]
    assert one[2] is three[0] is three[1]
    pair = (shared, shared)
    got = _through(queue, [pair, pair])
    assert got[0] is got[1]
    assert got[0][0] is got[0][1]
    buffer = bytearray(b"abc")
    got = _through(queue, [buffer, buffer])
    assert got[0] is got[1]


def test_values_that_contain_themselves_arrive(queue):
    items = [1]
    items.append(items)
    got = _through(queue, items)
    assert got[1] is got
    table = {}
    table["self"] = [table]
    got = _through(queue, table)
    assert got["self"][0] is got
    within = ([],)
    within[0].append(within)
    got = _through(queue, within)
    assert got[0][0] is got
    made = Plain()
    made.me, made.list = made, [made]
    got = _through(queue, made)
    assert got.me is got
    assert got.list[0] is got
    through_set = Plain()
    through_set.set = frozenset([_Hashed(through_set)])
    got = _through(queue, through_set)
    assert next(iter(got.set)).of is got
    by_reduce = collections.deque()
    by_reduce.append(by_reduce)
    got = _through(queue, by_reduce)
    assert got[0] is got


class _Hashed:
    def __init__(self, of):
        self.of = of


def test_exponentially_shared_tuples_stay_small(queue):
    value = (1,)
    for _ in range(100):
        value = (value, value)
    got = _through(queue, value)
    for _ in range(100):
        assert got[0] is got[1]
        got = got[0]
    assert got == (1,)


def test_deep_nesting_arrives_as_far_as_pickle_goes(queue):
    depth = 300
    value = []
    for _ in range(depth):
        value = [value]
    got = _through(queue, value)
    count = 0
    while got:
        got = got[0]
        count += 1
    assert count == depth


def test_nesting_beyond_the_recursion_limit_is_an_error(queue, pool):
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        queue.put(value)
    with pytest.raises(RecursionError):
        pool.map(same, [1, value, 2])
    assert _through(queue, 1) == 1
    assert pool.map(same, [1, 2]) == [1, 2]
    while value:  # one by one: a destructor would recurse
        value = value[0]


CHANGING: list[int] = []
CONSTANT = {"a": [1, 2]}


def changed(i):
    CHANGING.append(i)
    return CHANGING


def test_an_object_that_changes_between_items_arrives_as_it_was_each_time():
    with forkful.Pool(1) as pool:
        got = pool.map(changed, range(5), chunksize=5)
    assert got == [list(range(i + 1)) for i in range(5)]


def mark(value):
    value.append(len(value))
    return list(value)


def test_items_of_a_chunk_that_are_one_object_are_one_object_in_the_worker():
    shared = []
    with forkful.Pool(1) as pool:
        assert pool.map(mark, [shared] * 3, chunksize=3) == [[0], [0, 1], [0, 1, 2]]
    assert shared == []


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
        assert _through(queue, [Registered()])[0].value == 1
        assert _through(queue, CopyRegistered()).value == 10
        with forkful.Pool(1) as pool:
            assert [each.value for each in pool.map(same, [Registered(), Registered(5)])] == [2, 7]
            assert [each.value for each in pool.map(same, [CopyRegistered()])] == [20]
        ForkingPickler.register(CopyRegistered, reduce_registered)
        assert type(_through(queue, CopyRegistered())) is Registered
    finally:
        ForkingPickler._extra_reducers.pop(Registered, None)
        ForkingPickler._extra_reducers.pop(CopyRegistered, None)
        copyreg.dispatch_table.pop(CopyRegistered, None)


def test_a_reducer_on_the_instance_is_used(queue):
    first = Plain(a=1)
    assert _through(queue, [first, _hook_instance()]) == [first, ByFunction(5)]


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
    assert _through(queue, [Row(1, "a", 1.0)]) == [Row(1, "a", 1.0)]


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
    assert _through(queue, [1]) == [1]


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
    got = _through(queue, items)
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
    assert _through(queue, {"a": Row(1, "a", 1.0)}) == {"a": Row(1, "a", 1.0)}


def test_a_child_forked_while_a_value_is_written_writes_its_own(queue):
    assert _through(queue, [Row(1, "a", 1.0), Forks(), Row(2, "a", 1.0)]) == [
        Row(1, "a", 1.0),
        0,
        Row(2, "a", 1.0),
    ]


def test_a_class_replaced_between_messages_is_found_anew(queue):
    global Row
    first = Row
    queue.put(Row(1, "a", 1.0))
    try:
        Row = dataclasses.make_dataclass("Row", ["id", "name", "score", ("more", int, 5)])
        Row.__module__ = __name__
        got = queue.get()
        assert type(got) is Row
        with pytest.raises(pickle.PicklingError):
            queue.put([first(1, "a", 1.0)])
    finally:
        Row = first


def test_large_values_arrive_whole(queue):
    value = {
        "text": "a" * 3_000_000,
        "wide": "é" * 1_000_000,
        "bytes": bytes(range(256)) * 20_000,
        "array": bytearray(5_000_000),
        "rows": [{"id": i, "tags": ["a", "b"]} for i in range(50_000)],
    }
    assert _through(queue, value) == value


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


class Buffered:
    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, protocol):
        assert protocol == 5
        return Buffered, (pickle.PickleBuffer(self.memory),)


def test_buffers_arrive_as_bytes_or_bytearray(queue):
    for size in (0, 3, 63, 64, 5000, 100_000):
        frozen, changing = bytes(range(256)) * (size // 256 + 1), bytearray(size)
        one, two, three = _through(queue, [Buffered(frozen), Buffered(changing), changing])
        assert type(one.memory) is bytes
        assert one.memory == frozen
        assert type(two.memory) is bytearray
        assert two.memory == three == changing
    with pytest.raises(pickle.PicklingError):
        queue.put([Buffered(memoryview(bytes(100))[::2])])


def test_arrays_arrive_by_every_way(pool, queue):
    np = pytest.importorskip("numpy")
    arrays = [
        np.arange(64.0),
        np.arange(6).reshape(2, 3).T,
        np.arange(10)[::2],
        np.zeros((0, 3)),
        np.array(["a", "bc"]),
        np.array([1, "x", None], dtype=object),
        np.arange(3, dtype=">i4"),
        np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]),
        np.arange(100_000, dtype=np.float32),
        np.float64(1.5),
        np.int8(3),
        np.array("2020-01-01", dtype="datetime64[D]"),
    ]
    frozen = np.arange(1000)
    frozen.flags.writeable = False
    arrays.append(frozen)
    for got in ([_through(queue, each) for each in arrays], pool.map(same, arrays)):
        for one, two in zip(arrays, got, strict=True):
            assert type(one) is type(two)
            assert one.dtype == two.dtype
            assert np.array_equal(one, two)
            want = pickle.loads(pickle.dumps(one, 5))
            assert getattr(two, "flags", want).__class__ is getattr(want, "flags", want).__class__
            if isinstance(two, np.ndarray):
                assert two.flags.writeable == want.flags.writeable
                assert two.flags.f_contiguous == want.flags.f_contiguous
    assert [dt.dtype for dt in _through(queue, [np.zeros(1), np.zeros(2)])] == [np.dtype("f8")] * 2
    types = [np.dtype("f8"), np.dtype(">f8"), np.dtype([("a", "i4")]), np.float32]
    assert _through(queue, types) == types
