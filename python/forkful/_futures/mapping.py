"""The results of Executor.map(), in the order of its input."""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Any

__all__ = ["Feed", "chunks_of", "process_chunk", "results_by_submit", "results_of"]


class Feed:
    """The input of a map with a bound, drawn as its results are taken.

    Args:
        submit: submit(items, last): hands the items in, and takes them out of the list.
        end: end(error): nothing comes after what was handed in, but `error` where there is one.
        bound: Tasks ahead of the results that were taken.
        chunk: Items of a task.
    """

    def __init__(
        self,
        submit: Callable[[list[Any], bool], None],
        end: Callable[[BaseException | None], None],
        items: Iterator[Any],
        bound: int,
        chunk: int,
    ) -> None:
        self._submit = submit
        self._end = end
        self._items = items
        self._chunk = chunk
        self._ended = False
        self.bound = bound * chunk

    def draw(self, count: int) -> None:
        """Hand in so many items more."""
        if self._ended:
            return
        items = list(itertools.islice(self._items, count))
        last = len(items) < count
        self._ended = self._ended or last
        self._submit(items, last)

    def draw_task(self) -> None:
        self.draw(self._chunk)

    def stop(self, error: BaseException | None = None) -> None:
        """Draw no more; `error` comes after the results of what was drawn."""
        if not self._ended:
            self._ended = True
            self._end(error)

    def __del__(self) -> None:
        # Nobody takes results any more, and the executor would wait for more input.
        self.stop()


def results_of(job: Any, end: float | None, feed: Feed | None) -> Generator[Any, None, None]:
    """The results of a map's job, until one raises.

    What no worker has begun is cancelled then, and where the results are not wanted to their end.

    Args:
        end: Until when, by time.monotonic().
    """
    try:
        if end is None and feed is None:
            yield from job
            return
        while True:
            if feed is not None and job._ahead <= feed.bound:
                feed.draw_task()
            left = None if end is None else max(0, end - time.monotonic())
            try:
                # In a list, so that this frame has no result any more while the caller has it.
                held = [job._next(left)]
            except StopIteration:
                return
            except _core.TimeoutError:
                raise TimeoutError("the results of map() were not all there in time") from None
            yield held.pop()
    finally:
        if feed is not None:
            feed.stop()
        job._cancel()


def chunks_of(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """The items in tuples of `size`; the last one may have fewer."""
    rest = iter(items)
    return iter(lambda: tuple(itertools.islice(rest, size)), ())


def process_chunk(fn: Callable[..., Any], chunk: Iterable[Iterable[Any]]) -> list[Any]:
    """[fn(*each) for each in chunk], in a worker."""
    return list(itertools.starmap(fn, chunk))


def results_by_submit(
    submit: Callable[[Any], Future[list[Any]]],
    chunks: Iterator[Any],
    end: float | None,
    bound: int | None,
) -> Iterator[Any]:
    """The results of a map whose executor has a submit() of its own; otherwise as results_of()."""
    waiting = collections.deque(submit(chunk) for chunk in itertools.islice(chunks, bound))

    def take() -> Generator[Any, None, None]:
        try:
            while waiting:
                waiting.extend(submit(chunk) for chunk in itertools.islice(chunks, 1))
                left = None if end is None else max(0, end - time.monotonic())
                values = waiting[0].result(left)
                waiting.popleft()
                values.reverse()
                while values:
                    yield values.pop()
        finally:
            for future in waiting:
                future.cancel()

    return take()
