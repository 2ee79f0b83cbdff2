"""Bursts: a lot of messages, then none. What they took goes back to the kernel."""

from __future__ import annotations

import forkful
import pytest
from forkful import _core

MIB = 1 << 20
BURST = 384 * MIB
# What the heap keeps for the next messages (kWarmPagesKept), a MiB of spare runs of each of 16
# sizes beside it (kSparePages), and what one release may add before the next one looks.
KEPT_WARM = (128 + 16 + 1) * MIB
# The queue keeps the chunk of its ring that it wrote last, of a MiB at most; cells keep some pages.
KEPT_USED = 2 * MIB


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
    assert use["bytes_used"] <= used + KEPT_USED


def test_messages_that_grow_use_the_space_of_smaller_ones_again():
    queue = forkful.Queue()
    before = _core.heap_use()["bytes_mapped"]
    for megabytes in (270, 530):
        queue.put(bytes(megabytes * MIB))
        assert len(queue.get()) == megabytes * MIB
    # They need two and three windows of 256 MiB, and what lies in the way of the second one is at
    # most a window that small ones use. Without joining they would need their sum.
    assert _core.heap_use()["bytes_mapped"] - before <= 4 * 256 * MIB
