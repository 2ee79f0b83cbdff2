"""Bursts: a lot of messages, then none. What they took goes back to the kernel."""

from __future__ import annotations

import forkful
import pytest
from forkful import _core

MIB = 1 << 20
BURST = 384 * MIB
KEPT_WARM = 160 * MIB  # free memory that is kept for the next messages, with some to spare


@pytest.mark.parametrize("size", [100, 8_192, 500_000, 3_000_000])
def test_the_memory_of_a_burst_goes_back_to_the_kernel(size):
    used = _core.heap_use()["bytes_used"]
    queue, message = forkful.Queue(), bytes(size)
    burst = BURST if size > 1000 else 64 * MIB  # small ones take their time
    for _ in range(burst // size):
        queue.put(message)
    for _ in range(burst // size):
        queue.get()
    use = _core.heap_use()
    assert use["bytes_warm"] <= KEPT_WARM
    assert use["bytes_used"] <= used + 4 * MIB, "the queue has room for what is usual, not for more"


def test_messages_that_grow_use_the_space_of_smaller_ones_again():
    queue = forkful.Queue()
    before = _core.heap_use()["bytes_mapped"]
    for megabytes in range(100, 900, 100):
        queue.put(bytes(megabytes * MIB))
        assert len(queue.get()) == megabytes * MIB
    # Without joining what lies side by side it is their sum, 3.6 GB.
    assert _core.heap_use()["bytes_mapped"] - before <= 2_000 * MIB
