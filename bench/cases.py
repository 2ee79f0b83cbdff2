"""What is measured: names, numbers of operations, and beside what."""

from typing import NamedTuple


class Case(NamedTuple):
    language: str
    name: str
    beside: str  # the standard means for the same
    operations: int  # of the standard means
    more: int = 1  # so many times the operations for forkful: a run should last a while
    latency: bool = False  # shown as time of one operation instead of operations a second


PYTHON = [
    Case("Python", "Queue: int 1->1", "multiprocessing", 200_000, 8),
    Case("Python", "Queue: int 2->1", "multiprocessing", 200_000, 8),
    Case("Python", "Queue: int 1->2", "multiprocessing", 100_000, 8),
    Case("Python", "Queue: str of 100 1->1", "multiprocessing", 200_000, 8),
    Case("Python", "Queue: bytes of 8 MiB 1->1", "multiprocessing", 40),
    Case("Python", "Queue: round trip", "multiprocessing", 5_000, 4, latency=True),
    Case("Python", "Lock: acquire, release", "multiprocessing", 2_000_000, latency=True),
    Case("Python", "Pool.map chunksize=1", "multiprocessing", 30_000, 6),
    Case("Python", "Pool.map", "multiprocessing", 1_000_000),
    Case("Python", "Pool.imap", "multiprocessing", 20_000, 6),
    Case("Python", "Pool.apply_async", "multiprocessing", 10_000, 6),
    Case("Python", "Pool.apply: round trip", "multiprocessing", 2_000, 6, latency=True),
    Case("Python", "Pool(2): whole life", "multiprocessing", 10, latency=True),
]
CPP = [
    Case("C++", "Queue<int> 1->1", "pipe", 500_000, 8),
    Case("C++", "Queue<int>: round trip", "pipe", 10_000, 4, latency=True),
    Case("C++", "Lock: lock, unlock", "robust pthread mutex", 5_000_000, latency=True),
    Case("C++", "Pool.map chunk_size=1", "std::async", 20_000, 6),
    Case("C++", "Process: start, join", "posix_spawn", 200, latency=True),
]
