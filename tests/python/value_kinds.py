"""Values of every kind, with the classes that some of them are of, and what tells two apart."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import pathlib
import re
import uuid


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


def hook_instance():
    made = Plain(a=1)
    made.__reduce_ex__ = lambda protocol: (_by_function, (5,))
    return made


def _built_in():
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
        "ordered": collections.OrderedDict(b=1, a=2),
        "default dict": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("abca"),
        "deque": collections.deque(range(2500), 3000),
        "constants": [Ellipsis, NotImplemented],
        "range": [range(3), slice(1, 2, 3)],
        "bytes io": io.BytesIO(b"abc").getvalue(),
        "iterators": list(iter([1, 2])),
    }


def _of_the_library():
    return {
        "dates": [
            datetime.date(2020, 1, 1),
            datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
            datetime.timedelta(3),
            datetime.time(3, 4),
        ],
        "decimal": decimal.Decimal("1.25"),
        "fraction": fractions.Fraction(1, 3),
        "partial": functools.partial(int, base=2)("101"),
        "path": pathlib.PurePosixPath("/a/b"),
        "uuid": uuid.UUID(int=5),
        "pattern": re.compile("a+"),
        "chain": collections.ChainMap({"a": 1}, {}),
    }


def _of_our_own():
    return {
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
        "appended": Appended([1, 2]),
        "by function": ByFunction([1]),
        "singleton": THE_ONE,
        "classes": [int, Row, Outer.Inner, type(None), type(Ellipsis), collections.OrderedDict],
        "functions": [len, _by_function, Outer.method, dict.fromkeys],
        "inner": Outer.Inner(),
        "hook on an instance": Plain(__getstate__=None) if False else Plain(_a=1, b=2),
    }


KINDS = _built_in() | _of_the_library() | _of_our_own()


def shape(value):
    """`value` as text, with types, so that 1 and True and equal subclasses differ."""
    if isinstance(value, dict):
        items = [(shape(k), shape(v)) for k, v in value.items()]
        return (type(value).__name__, items, shape(getattr(value, "__dict__", None)))
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, sorted(map(repr, value)))
    if isinstance(value, (list, tuple, collections.deque)):
        return (type(value).__name__, [shape(each) for each in value])
    if hasattr(value, "__dict__") and not callable(value) and not isinstance(value, enum.Enum):
        return (type(value).__name__, {k: shape(v) for k, v in vars(value).items()})
    return (
        type(value).__name__,
        repr(value) if type(value).__repr__ is not object.__repr__ else "",
    )


def same(value):
    return value


def same_args(*args):
    return args


def through(queue, value):
    queue.put(value)
    return queue.get()
