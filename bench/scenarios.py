"""One measurement, in an interpreter of its own.

    python bench/scenarios.py forkful "queue int 1->1" 100000

The first argument is the package to measure, forkful or multiprocessing; the last one the number
of operations. Prints operations a second. Both packages run the very same lines below.
"""

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

from cases import PYTHON

ROUND = 2000  # operations of a warm-up

clock = time.perf_counter


def put_many(queue: Any, items: Sequence[object], count: int, ready: Any, go: Any) -> None:
    ready.put(None)
    go.wait()
    for item in islice(cycle(items), count):
        queue.put(item)


def get_many(queue: Any, count: int, ready: Any, done: Any) -> None:
    ready.put(None)
    for _ in range(count):
        queue.get()
    done.put(None)


def echo(there: Any, back: Any, count: int) -> None:
    for _ in range(count):
        back.put(there.get())


def nothing(item: object) -> object:
    return item


def many_to_one(mp: Any, count: int, items: Sequence[object], senders: int = 1) -> float:
    queue, ready, go = mp.Queue(), mp.Queue(), mp.Event()
    each = count // senders
    children = [
        mp.Process(target=put_many, args=(queue, items, each, ready, go)) for _ in range(senders)
    ]
    for child in children:
        child.start()
    for _ in children:
        ready.get()
    begin = clock()
    go.set()
    for _ in range(each * senders):
        queue.get()
    seconds = clock() - begin
    for child in children:
        child.join()
    return each * senders / seconds


def one_to_many(mp: Any, count: int, items: Sequence[object], receivers: int = 2) -> float:
    queue, ready, done = mp.Queue(), mp.Queue(), mp.Queue()
    each = count // receivers
    children = [
        mp.Process(target=get_many, args=(queue, each, ready, done)) for _ in range(receivers)
    ]
    for child in children:
        child.start()
    for _ in children:
        ready.get()
    begin = clock()
    for item in islice(cycle(items), each * receivers):
        queue.put(item)
    for _ in children:
        done.get()
    seconds = clock() - begin
    for child in children:
        child.join()
    return each * receivers / seconds


def ping_pong(mp: Any, count: int) -> float:
    there, back = mp.Queue(), mp.Queue()
    warm_up = count // 10
    child = mp.Process(target=echo, args=(there, back, count + warm_up))
    child.start()
    for _ in range(warm_up):
        there.put(0)
        back.get()
    begin = clock()
    for number in range(count):
        there.put(number)
        back.get()
    seconds = clock() - begin
    child.join()
    return count / seconds


def lock_pair(mp: Any, count: int) -> float:
    lock = mp.Lock()
    begin = clock()
    for _ in range(count):
        lock.acquire()
        lock.release()
    return count / (clock() - begin)


def with_pool(mp: Any, count: int, work: Callable[[Any, range], object]) -> float:
    with mp.Pool(2) as pool:
        work(pool, range(ROUND if count > ROUND else 10))
        begin = clock()
        work(pool, range(count))
        return count / (clock() - begin)


def consume(items: Any) -> None:
    for _ in items:
        pass


def apply_async(pool: Any, numbers: range) -> None:
    for result in [pool.apply_async(nothing, (number,)) for number in numbers]:
        result.get()


def apply(pool: Any, numbers: range) -> None:
    for number in numbers:
        pool.apply(nothing, (number,))


def whole_pool(mp: Any, count: int) -> float:
    begin = clock()
    for _ in range(count):
        with mp.Pool(2) as pool:
            pool.map(nothing, range(2))
    return count / (clock() - begin)


MIB = 1 << 20
INTEGERS = range(10**6, 10**6 + 1000)
STRINGS = tuple(f"{number:0100}" for number in range(1000))
SCENARIOS: dict[str, Callable[[Any, int], float]] = {
    "Queue: int 1->1": lambda mp, n: many_to_one(mp, n, INTEGERS),
    "Queue: int 2->1": lambda mp, n: many_to_one(mp, n, INTEGERS, senders=2),
    "Queue: int 1->2": lambda mp, n: one_to_many(mp, n, INTEGERS),
    "Queue: str of 100 1->1": lambda mp, n: many_to_one(mp, n, STRINGS),
    "Queue: bytes of 8 MiB 1->1": lambda mp, n: many_to_one(mp, n, [bytes(8 * MIB)]),
    "Queue: round trip": ping_pong,
    "Lock: acquire, release": lock_pair,
    "Pool.map chunksize=1": lambda mp, n: with_pool(
        mp, n, lambda pool, numbers: pool.map(nothing, numbers, chunksize=1)
    ),
    "Pool.map": lambda mp, n: with_pool(mp, n, lambda pool, numbers: pool.map(nothing, numbers)),
    "Pool.imap": lambda mp, n: with_pool(
        mp, n, lambda pool, numbers: consume(pool.imap(nothing, numbers))
    ),
    "Pool.apply_async": lambda mp, n: with_pool(mp, n, apply_async),
    "Pool.apply: round trip": lambda mp, n: with_pool(mp, n, apply),
    "Pool(2): whole life": whole_pool,
}
assert list(SCENARIOS) == [case.name for case in PYTHON]


if __name__ == "__main__":
    package, name, operations = sys.argv[1:]
    print(SCENARIOS[name](importlib.import_module(package), int(operations)))
