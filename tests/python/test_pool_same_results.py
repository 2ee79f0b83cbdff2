"""A function that gives one object for several items: its identity, and what it costs."""

import os
import pickle
import signal

import forkful
import pytest

TABLE = {number: str(number) for number in range(2000)}
COUNTS = {"calls": 0}
PEAK = {}  # a Value, made by the test that looks at it


def give_table(item):
    return TABLE


def give_back(item):
    return item[0]


def count(item):
    COUNTS["calls"] += 1
    return COUNTS


def give_table_or_fail(item):
    if item % 3 == 2:
        raise ValueError(item)
    return TABLE


def give_table_or_die(item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return TABLE


def give_and_look(item):
    peak = PEAK["at"]
    peak.value = max(peak.value, forkful._core.heap_use()["bytes_used"])
    return TABLE


class FailsToArrive:
    def __reduce__(self):
        return int, ("no number",)


NEVER = FailsToArrive()


def give_never(item):
    return NEVER


@pytest.fixture
def pool():
    with forkful.Pool(1) as pool:
        yield pool


class TestOneObjectForAChunk:
    def test_arrives_as_one(self, pool):
        results = pool.map(give_table, range(10), chunksize=10)
        assert results == [TABLE] * 10
        assert len({id(each) for each in results}) == 1

    def test_is_another_one_in_the_next_chunk(self, pool):
        results = pool.map(give_table, range(10), chunksize=5)
        assert results == [TABLE] * 10
        assert len({id(each) for each in results}) == 2

    def test_arrives_as_one_from_imap(self, pool):
        first, second = pool.imap(give_table, [0, 1], chunksize=2)
        assert first is second

    def test_that_was_an_argument_arrives_as_one(self, pool):
        shared = ["shared"]
        first, second = pool.map(give_back, [(shared,), (shared,)], chunksize=2)
        assert first is second

    def test_arrives_as_it_was_each_time_where_it_changes(self, pool):
        results = pool.map(count, range(5), chunksize=5)
        assert [each["calls"] for each in results] == [1, 2, 3, 4, 5]

    def test_arrives_as_two_after_an_error(self, pool):
        results = []
        iterator = pool.imap(give_table_or_fail, range(5), chunksize=5)
        for item in range(5):
            if item == 2:
                with pytest.raises(ValueError, match="2"):
                    next(iterator)
            else:
                results.append(next(iterator))
        assert results == [TABLE] * 4
        assert results[0] is results[1]
        assert results[2] is results[3]
        assert results[1] is not results[2]

    def test_arrives_after_a_death_in_the_chunk(self, pool):
        iterator = pool.imap(give_table_or_die, range(6), chunksize=6)
        results = [next(iterator) for _ in range(3)]
        with pytest.raises(forkful.WorkerDied):
            next(iterator)
        results += iterator
        assert results == [TABLE] * 5

    def test_that_cannot_be_unpickled_is_an_error_of_each(self, pool):
        iterator = pool.imap(give_never, range(3), chunksize=3)
        for _ in range(3):
            with pytest.raises(ValueError, match="no number"):
                next(iterator)

    def test_takes_the_room_of_one(self):
        peak = PEAK["at"] = forkful.Value("q")
        at_first = forkful._core.heap_use()["bytes_used"]
        with forkful.Pool(1) as pool:
            assert pool.map(give_and_look, range(1000), chunksize=1000) == [TABLE] * 1000
        assert peak.value - at_first < 40 * len(pickle.dumps(TABLE))

    @pytest.mark.parametrize("value", [None, True, 7, 2.5, "text", b"bytes", ()])
    def test_may_be_a_simple_one(self, pool, value):
        assert pool.map(give_back, [(value,)] * 4, chunksize=4) == [value] * 4

    def test_may_be_a_large_array_sent_from_where_it_is(self, pool):
        block = bytearray(b"x" * 100_000)
        first, second = pool.map(give_back, [(block,), (block,)], chunksize=2)
        assert first is second
        assert first == block
