"""Pieces of the family's shared memory, for a program that lays out what is in them.

The engine allocates and frees them: each is freed when no process holds it any more.
"""

from __future__ import annotations

import itertools
import sys
from _thread import allocate_lock
from weakref import WeakValueDictionary

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BufferWrapper"]


def _check_size(size: int) -> None:
    if not hasattr(size, "__index__"):
        raise TypeError(f"the size of a piece of memory must be an integer, not {size!r}")
    if size < 0:
        raise ValueError(f"Size {size} out of range: a piece of memory has 0 bytes or more")
    if size >= sys.maxsize:
        raise OverflowError(f"Size {size} too large: it has to be less than {sys.maxsize}")


class Arena(_core.Cell):
    """A piece of zeroed shared memory, which can be sent to any process of the family.

    Differs from multiprocessing: there is no file behind it.

    Args:
        size: How many bytes.
        fd: Is not used.
        name: What views of the family call it; by default the line of the program that makes it.
    Raises:
        TypeError, ValueError, OverflowError: No such size.
        OSError: The family has no memory left.
    """

    fd = -1
    _dir_candidates: list[str] = []  # where to have files; programs change it

    def __init__(self, size: int, fd: int = -1, *, name: str | None = None) -> None:
        _check_size(size)
        super().__init__(size, name)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return memoryview(self).nbytes

    @property
    def buffer(self) -> memoryview:
        """Its bytes, which can be written."""
        return memoryview(self)


def reduce_arena(a: Arena) -> str | tuple[Any, ...]:
    """How an arena is pickled: as a handle of the family's."""
    return a.__reduce_ex__(2)


def rebuild_arena(size: int, dupfd: Any) -> Arena:
    """An arena of that size. What a descriptor stands for is not taken: arenas are handles."""
    return Arena(size)


class Heap:
    """Gives out blocks: (arena, start, stop), and knows those of this process.

    Differs from multiprocessing: the memory is the engine's, and each block is all of an arena. So
    there are no free blocks, and none that wait to be freed.

    Args:
        size: Is not used.
    """

    _len_to_seq: dict[int, Any] = {}
    _pending_free_blocks: list[Any] = []

    def __init__(self, size: int = 4096) -> None:
        self._lock = allocate_lock()
        self._numbers = itertools.count(1)
        self._n_mallocs = 0
        self._in_use: WeakValueDictionary[int, Arena] = WeakValueDictionary()

    def malloc(self, size: int) -> tuple[Arena, int, int]:
        """A block of `size` bytes.

        Raises: As Arena.
        """
        return self._note(Arena(size)), 0, size

    def free(self, block: tuple[Arena, int, int]) -> None:
        """Forget a block. Its memory is freed when nobody has the arena any more.

        Raises:
            TypeError: It is none.
        """
        if not isinstance(block, tuple):
            raise TypeError(f"free() takes a block as malloc() has given it, not {block!r}")
        self._in_use.pop(id(block[0]), None)

    # Without the lock: a finalizer may make and free blocks at any line.
    def _note(self, arena: Arena) -> Arena:
        self._n_mallocs = next(self._numbers)
        self._in_use[id(arena)] = arena
        return arena

    @property
    def _n_frees(self) -> int:
        return self._n_mallocs - len(self._in_use)

    @property
    def _arenas(self) -> list[Arena]:
        return list(self._in_use.values())

    @property
    def _allocated_blocks(self) -> dict[Arena, set[tuple[int, int]]]:
        return {arena: {(0, arena.size)} for arena in self._arenas}


class BufferWrapper(Arena):
    """A piece of zeroed shared memory, which can be sent to any process of the family.

    Args:
        size: How many bytes.
        name: What views of the family call it; by default the line of the program that makes it.
    Raises:
        TypeError, ValueError, OverflowError: No such size.
        OSError: The family has no memory left.
    """

    _heap = Heap()

    def __init__(self, size: int, *, name: str | None = None) -> None:
        _check_size(size)
        # Past Arena's, which programs replace to say where multiprocessing has its files.
        _core.Cell.__init__(self, size, name)
        self._heap._note(self)

    def create_memoryview(self) -> memoryview:
        """Its bytes, which can be written.

        Raises:
            RuntimeError: A subclass has not called super().__init__().
        """
        return self.buffer

    @property
    def _state(self) -> tuple[tuple[Arena, int, int], int]:
        # Where programs look for the memory of an array that multiprocessing has made.
        return (self, 0, self.size), self.size
