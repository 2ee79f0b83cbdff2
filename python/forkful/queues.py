"""Queues between processes: rings in shared memory, without a thread behind them."""

from __future__ import annotations

import sys
import types
from queue import Empty, Full

from forkful import _core, _later
from forkful import reduction as reduction  # what is sent is pickled by its rules

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")
else:
    _T = None  # what stands in the brackets says nothing when the program runs

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]


class Queue(_core.Queue[_T]):
    """A queue for any number of producers and consumers.

    An item is in the queue when put() returns: nothing is lost when the producer ends, and
    join() before get() is safe. qsize() is exact. When a queue is pickled its class travels with
    it, but attributes of a subclass do not: such a class extends __getstate__ and __setstate__.

    Args:
        maxsize: The most items at a time; 0: as many as memory allows.
        strict: put() raises for an object that cannot be pickled. False: the traceback goes to
            stderr and the queue lives on, as with multiprocessing.
        name: What views of the family call it; by default the line of the program that makes it.
    Raises:
        OverflowError: maxsize is more than 2**31 - 1.
        OSError: The family has no memory left.
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: object = None,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(maxsize, strict=strict, name=name)

    def join_thread(self) -> None:
        """Nothing to wait for: there is no thread.

        Raises:
            AssertionError: close() was not called before, which multiprocessing asks for.
        """
        assert self._closed, f"{self!r} is not closed: call close() before join_thread()"

    def cancel_join_thread(self) -> None:
        """Nothing to cancel: there is no thread."""

    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: object) -> None:
        import traceback

        # As if it had been raised where put() was called, whose line is what one looks for.
        caller = sys._getframe(1)
        trace = types.TracebackType(e.__traceback__, caller, caller.f_lasti, caller.f_lineno)
        text = "".join(traceback.format_exception(type(e), e, trace))
        sys.stderr.write(
            f"forkful: Queue.put() has dropped an item, a {type(obj).__name__}:\n{text}"
        )


class SimpleQueue(_core.SimpleQueue[_T]):
    """A queue with get(), put(), empty() and close(), without a bound.

    put() raises for an object that cannot be pickled.

    Args:
        name: As for Queue.
    Raises:
        OSError: The family has no memory left.
    """

    def __init__(self, *, ctx: object = None, name: str | None = None) -> None:
        super().__init__(name=name)


JoinableQueue = _later.kind("JoinableQueue")
