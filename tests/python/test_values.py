"""What arrives is what pickle would have given, of every kind, by every way."""

from __future__ import annotations

import collections
import gc
import pickle

import forkful
import pytest
from value_kinds import KINDS, Plain, Row, same, same_args, shape, through


@pytest.fixture(scope="module")
def pool():
    with forkful.Pool(2) as made:
        yield made


@pytest.fixture
def queue():
    return forkful.SimpleQueue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_gives_what_pickle_gives(queue, kind):
    value = KINDS[kind]
    want = pickle.loads(pickle.dumps(value))
    got = through(queue, value)
    assert shape(got) == shape(want)
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
    assert list(map(shape, got)) == list(map(shape, want))
    assert got == want


def test_identity_within_a_value_arrives(queue):
    shared, text, row = [1], "t" * 100, Row(1, "a", 2.0)
    one, two, three = through(queue, ([shared, text, row], {"a": shared, "b": text}, (row, row)))
    assert one[0] is two["a"]
    assert one[1] is two["b"]
    assert one[2] is three[0] is three[1]
    pair = (shared, shared)
    got = through(queue, [pair, pair])
    assert got[0] is got[1]
    assert got[0][0] is got[0][1]
    buffer = bytearray(b"abc")
    got = through(queue, [buffer, buffer])
    assert got[0] is got[1]


def test_values_that_contain_themselves_arrive(queue):
    items = [1]
    items.append(items)
    got = through(queue, items)
    assert got[1] is got
    table = {}
    table["self"] = [table]
    got = through(queue, table)
    assert got["self"][0] is got
    within = ([],)
    within[0].append(within)
    got = through(queue, within)
    assert got[0][0] is got
    made = Plain()
    made.me, made.list = made, [made]
    got = through(queue, made)
    assert got.me is got
    assert got.list[0] is got
    through_set = Plain()
    through_set.set = frozenset([_Hashed(through_set)])
    got = through(queue, through_set)
    assert next(iter(got.set)).of is got
    by_reduce = collections.deque()
    by_reduce.append(by_reduce)
    got = through(queue, by_reduce)
    assert got[0] is got


class _Hashed:
    def __init__(self, of):
        self.of = of


def test_exponentially_shared_tuples_stay_small(queue):
    value = (1,)
    for _ in range(100):
        value = (value, value)
    got = through(queue, value)
    for _ in range(100):
        assert got[0] is got[1]
        got = got[0]
    assert got == (1,)


def test_deep_nesting_arrives_as_far_as_pickle_goes(queue):
    depth = 300
    value = []
    for _ in range(depth):
        value = [value]
    got = through(queue, value)
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
    assert through(queue, 1) == 1
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


class Changes:
    """Does something when it is pickled."""

    def __init__(self, do=None):
        self.do = do

    def __reduce__(self):
        self.do()
        return Changes, ()


def test_a_dict_whose_size_stays_while_it_is_pickled_arrives_with_what_was_written(queue):
    def change():
        if values.pop("first", None):
            values["last"] = 4

    values = {"first": 1, "changes": Changes(change), "third": 3}
    got, after = through(queue, [values, "after"])
    assert list(got) == ["first", "changes", "third", "last"]
    assert after == "after"


def test_a_set_whose_size_stays_while_it_is_pickled_arrives_with_what_was_written(queue):
    class Second(Changes):
        def __hash__(self):
            return 2

    def change():
        if 1 in values:
            values.remove(1)
            values.add(4)

    values = {1, Second(change), 3}
    assert [hash(each) for each in values] == [1, 2, 3], "the order in which they are written"
    got, after = through(queue, [values, "after"])
    assert {each for each in got if isinstance(each, int)} == {1, 3, 4}
    assert after == "after"


class First:
    """Notes itself when it is made."""

    made = None

    def __init__(self):
        First.made = self

    def __reduce__(self):
        return First, ()


class Looks:
    """Looks for tuples that begin with First when it is made."""

    def __init__(self):
        tuples = [each for each in gc.get_objects() if type(each) is tuple and len(each) == 9]
        self.found = [each for each in tuples if each[0] is First.made]

    def __reduce__(self):
        return Looks, ()


class Nine:
    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return Nine, self.args


def test_arguments_are_not_to_be_found_before_all_are_there(queue):
    got = through(queue, Nine(First(), Looks(), *range(7)))
    assert got.args[2:] == tuple(range(7))
    assert not got.args[1].found


def test_items_of_a_chunk_that_are_one_object_are_one_object_in_the_worker():
    shared = []
    with forkful.Pool(1) as pool:
        assert pool.map(mark, [shared] * 3, chunksize=3) == [[0], [0, 1], [0, 1, 2]]
    assert shared == []


def test_large_values_arrive_whole(queue):
    value = {
        "text": "a" * 3_000_000,
        "wide": "é" * 1_000_000,
        "bytes": bytes(range(256)) * 20_000,
        "array": bytearray(5_000_000),
        "rows": [{"id": i, "tags": ["a", "b"]} for i in range(50_000)],
    }
    assert through(queue, value) == value


class Buffered:
    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, protocol):
        assert protocol == 5
        return Buffered, (pickle.PickleBuffer(self.memory),)


def test_buffers_arrive_as_bytes_or_bytearray(queue):
    for size in (0, 3, 63, 64, 5000, 100_000):
        frozen, changing = bytes(range(256)) * (size // 256 + 1), bytearray(size)
        one, two, three = through(queue, [Buffered(frozen), Buffered(changing), changing])
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
    for got in ([through(queue, each) for each in arrays], pool.map(same, arrays)):
        for one, two in zip(arrays, got, strict=True):
            assert type(one) is type(two)
            assert one.dtype == two.dtype
            assert np.array_equal(one, two)
            want = pickle.loads(pickle.dumps(one, 5))
            assert getattr(two, "flags", want).__class__ is getattr(want, "flags", want).__class__
            if isinstance(two, np.ndarray):
                assert two.flags.writeable == want.flags.writeable
                assert two.flags.f_contiguous == want.flags.f_contiguous
    assert [dt.dtype for dt in through(queue, [np.zeros(1), np.zeros(2)])] == [np.dtype("f8")] * 2
    types = [np.dtype("f8"), np.dtype(">f8"), np.dtype([("a", "i4")]), np.float32]
    assert through(queue, types) == types
