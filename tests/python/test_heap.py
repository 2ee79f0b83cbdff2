"""heap.BufferWrapper: shared memory for a program that lays out what is in it."""

from __future__ import annotations

import gc
import pickle
import struct
import sys
import threading

import forkful
import pytest
from forkful import _core, heap


def fill(wrapper):
    wrapper.create_memoryview().cast("i")[1] = 7


def test_it_is_shared(context):
    wrapper = heap.BufferWrapper(8)
    child = context.Process(target=fill, args=(wrapper,))
    child.start()
    child.join()
    assert wrapper.create_memoryview().cast("i").tolist() == [0, 7]


def test_it_travels_and_is_freed_with_its_last_holder():
    forkful.SimpleQueue().put(heap.BufferWrapper(1))  # the first of a kind takes memory that stays
    gc.collect()
    before = _core.heap_use()["bytes_used"]
    queue = forkful.SimpleQueue()
    wrapper = heap.BufferWrapper(1 << 20)
    queue.put(wrapper)
    wrapper.create_memoryview()[5] = 3
    del wrapper
    twin = queue.get()
    assert twin.create_memoryview()[5] == 3
    assert type(twin) is heap.BufferWrapper
    del twin, queue
    assert _core.heap_use()["bytes_used"] == before


def test_a_view_keeps_the_memory():
    view = heap.BufferWrapper(struct.calcsize("q")).create_memoryview().cast("q")
    view[0] = 5
    gc.collect()
    assert view.tolist() == [5]


@pytest.mark.parametrize("size", [0, 1, 7, 4096, 100_000])
def test_it_has_as_many_bytes_as_were_asked_for(size):
    view = heap.BufferWrapper(size).create_memoryview()
    assert view.nbytes == size
    assert not any(view)


def test_impossible_sizes_are_refused():
    for make in (heap.BufferWrapper, heap.Arena, heap.Heap().malloc):
        with pytest.raises(ValueError, match="Size -1 out of range"):
            make(-1)
        with pytest.raises(OverflowError, match="too large"):
            make(sys.maxsize)
        with pytest.raises(TypeError):
            make("4")
        with pytest.raises(OSError, match="arena|memory"):
            make(1 << 50)


def test_the_heap_knows_what_is_in_use(monkeypatch):
    own = heap.Heap()
    monkeypatch.setattr(heap.BufferWrapper, "_heap", own)
    kept = [heap.BufferWrapper(size) for size in (10, 0, 500)]
    block = own.malloc(30)
    assert [arena.size for arena in own._arenas] == [10, 0, 500, 30]
    assert block == (own._arenas[3], 0, 30)
    assert own._allocated_blocks == {arena: {(0, arena.size)} for arena in own._arenas}
    assert (own._n_mallocs, own._n_frees) == (4, 0)
    own.free(block)
    del kept[0], block
    assert (own._n_mallocs, own._n_frees) == (4, 2)
    del kept
    assert own._arenas == []
    assert own._n_frees == own._n_mallocs


def test_blocks_are_made_and_freed_while_garbage_is_collected():
    thresholds = gc.get_threshold()
    gc.set_threshold(5)
    try:
        threads = [threading.Thread(target=_make_circles) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*thresholds)


def _make_circles():
    for _ in range(500):
        first, second = heap.BufferWrapper(1), heap.BufferWrapper(1)
        first.buddy, second.buddy = second, first


def test_an_arena_is_a_piece_of_memory():
    arena = heap.Arena(16, -1)
    assert (arena.size, arena.fd, arena.buffer.nbytes) == (16, -1, 16)
    twin = pickle.loads(pickle.dumps(arena))
    twin.buffer[3] = 9
    assert arena.buffer[3] == 9


def test_programs_that_move_the_files_of_multiprocessing_go_on(monkeypatch):
    def init(self, size, fd=-1):
        self.size = size
        self.fd = fd

    assert heap.Arena._dir_candidates == []
    monkeypatch.setattr(heap.Arena, "_dir_candidates", ["/tmp"])
    monkeypatch.setattr(heap.Arena, "__init__", init)
    assert forkful.Array("i", 3)[:] == [0, 0, 0]
