"""What is measured: names, numbers of operations, beside what, and what it should reach."""

from typing import NamedTuple


class Case(NamedTuple):
    """A line of the Python table: scenarios.py runs it, once with each package."""

    name: str
    beside: str  # the standard means for the same
    operations: int  # of the standard means
    more: int = 1  # so many times the operations for forkful: a run should last a while
    latency: bool = False  # shown as time of one operation instead of operations a second


PYTHON = [
    Case("Queue: int 1->1", "multiprocessing", 200_000, 8),
    Case("Queue: int 2->1", "multiprocessing", 200_000, 8),
    Case("Queue: int 1->2", "multiprocessing", 100_000, 8),
    Case("Queue: str of 100 1->1", "multiprocessing", 200_000, 8),
    Case("Queue: bytes of 8 MiB 1->1", "multiprocessing", 40),
    Case("Queue: round trip", "multiprocessing", 5_000, 4, latency=True),
    Case("Lock: acquire, release", "multiprocessing", 2_000_000, latency=True),
    Case("Pool.map chunksize=1", "multiprocessing", 30_000, 6),
    Case("Pool.map", "multiprocessing", 1_000_000),
    Case("Pool.imap", "multiprocessing", 20_000, 6),
    Case("Pool.apply_async", "multiprocessing", 10_000, 6),
    Case("Pool.apply: round trip", "multiprocessing", 2_000, 6, latency=True),
    Case("Pool(2): whole life", "multiprocessing", 10, latency=True),
]


class Subject(NamedTuple):
    """A line of the C++ table: PROGRAM/*_gbench measures "NAME/forkful" and "NAME/rival"…"""

    program: str
    name: str
    ahead_of: dict[str, float] = {}  # rival: least ratio of the rates
    least: float = 0  # operations a second
    latency: bool = False
    bytes: int = 0  # of one operation, where it is shown as bytes a second


BOOST = {"Boost message_queue": 1.0}
RIVALS = {"socketpair": 1.0, "ZeroMQ ipc": 1.0} | BOOST
CPP = [
    Subject("queue", "Queue, 64 bytes: one way", {"ZeroMQ ipc": 1.0}, least=8e6),
    # Bounded ones, each beside a rival with the same bound.
    Subject("queue", "Queue of 10, 64 bytes: one way", BOOST),
    Subject("queue", "Queue of 100, 64 bytes: one way", BOOST | {"socketpair": 1.0}),
    Subject("queue", "Queue of 1000, 64 bytes: one way", BOOST),
    Subject("queue", "Queue of 4096, 64 bytes: one way", BOOST),
    Subject("queue", "Queue of 100000, 64 bytes: one way", BOOST),
    Subject("queue", "Queue, 64 bytes: round trip", RIVALS, latency=True),
    Subject("queue", "Queue, 64 bytes: round trip beside 2 busy processes", RIVALS, latency=True),
    Subject("large", "Queue, vector of 25 MB", {"memcpy": 0.6}, bytes=25_000_000),
    Subject("pool", "Pool::map, automatic chunks", least=2e6),
    Subject("pool", "Pool::map, one by one"),
    Subject("call", "Pool::apply: round trip", {"spinning ping-pong": 0.25}, latency=True),
    Subject("lock", "Lock: lock, unlock", latency=True),
    Subject("spawn", "Process: start, heap of 0 MiB", least=500, latency=True),
    Subject("spawn", "Process: start, heap of 512 MiB", least=500, latency=True),
    Subject("spawn", "Process: start, heap of 2048 MiB", least=500, latency=True),
    Subject("spawn", "Process: start and join, heap of 0 MiB", latency=True),
    Subject("spawn", "Process: start and join, heap of 512 MiB", latency=True),
    Subject("spawn", "Process: start and join, heap of 2048 MiB", latency=True),
]
# BENCH_PIN for a program, where it makes a difference what runs where; see support.hpp.
PINNED = {"call": "split"}
# What the farm of MPI processes runs: subject, items, items a chunk (0: cut as forkful does).
FARM = [("Pool::map, automatic chunks", 4_000_000, 0), ("Pool::map, one by one", 300_000, 1)]
