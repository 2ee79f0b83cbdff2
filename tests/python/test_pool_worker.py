"""What a pool's worker keeps from one task to the next."""

from __future__ import annotations

import pathlib

import forkful


def own_memory():
    """In kB; what is shared does not count."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def zeros(count):
    return [0] * count


def test_a_large_result_leaves_no_memory_in_its_worker():
    with forkful.Pool(1) as pool:
        before = pool.apply(own_memory)
        # 36 MB as bytes; the list itself is freed at once.
        assert len(pool.apply(zeros, (4_000_000,))) == 4_000_000
        assert pool.apply(own_memory) - before < 16_000
