"""What the calls of a pool are given: whether it can be used, and the remedy where it cannot."""

from __future__ import annotations

import _operator

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import SupportsIndex

__all__ = ["check_arguments", "chunk_for", "note_what_is_mapped", "to_chunk"]


def to_chunk(size: SupportsIndex) -> int:
    """The items of a task that was asked for: no more than a task can have."""
    try:
        chunk = _operator.index(size)
    except TypeError:
        told = f"chunksize is a number of items, an int, not {type(size).__name__}"
        if hasattr(size, "__iter__"):
            told += ": of several iterables the items are given by starmap(f, zip(a, b))"
        raise TypeError(told) from None
    if chunk < 1:
        raise ValueError(f"Chunksize must be 1+, not {chunk:n}")
    return min(chunk, _core.MOST_ITEMS)


def chunk_for(count: int, processes: int, chunksize: SupportsIndex | None) -> int:
    """The items of a task of a map over so many items."""
    if chunksize is not None:
        return to_chunk(chunksize)
    chunk, rest = divmod(count, processes * 4)
    return chunk + bool(rest)


def check_arguments(processes: int, initializer: object, maxtasksperchild: object) -> None:
    if not hasattr(processes, "__index__"):
        raise TypeError(f"processes must be an int, not {processes!r}")
    if processes < 1:
        raise ValueError(
            f"Number of processes must be at least 1, not {processes}: "
            "leave it out to use every CPU"
        )
    if maxtasksperchild is not None and (
        not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0
    ):
        raise ValueError(
            f"maxtasksperchild must be a positive int or None, not {maxtasksperchild!r}"
        )
    if initializer is not None and not callable(initializer):
        raise TypeError(f"initializer must be a callable, not {initializer!r}")


def note_what_is_mapped(error: TypeError, func: object, iterable: object) -> None:
    kind = type(iterable)
    if callable(iterable) and not callable(func):
        error.add_note("forkful: the function comes first: map(func, iterable)")
    elif not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
        error.add_note(
            "forkful: the function is called for each item of an iterable: map(func, [item])"
        )
