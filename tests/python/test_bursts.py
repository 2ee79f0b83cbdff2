"""Bursts: a lot of messages, then none. What they took goes back to the kernel."""

from __future__ import annotations

import forkful
import pytest
from forkful import _core

MIB = 1 << 20
BURST = 384 * MIB
# What the heap keeps for the next messages (kWarmPagesKept), and what one release may add before
# the next one looks.
KEPT_WARM = (128 + 1) * MIB
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
    for megabytes in range(100, 900, 100):
        queue.put(bytes(megabytes * MIB))
        assert len(queue.get()) == megabytes * MIB
    # The largest needs four windows of 256 MiB, and those before lie in the way of none but the
    # first, which small ones use. Without joining they would need their sum, eighteen.
    assert _core.heap_use()["bytes_mapped"] - before <= 5 * 256 * MIB
