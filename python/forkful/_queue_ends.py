"""The ends of a queue, as the ends of a pipe: `queue._reader` and `queue._writer`.

A queue of multiprocessing is a pipe, and many programs select on its reading end, poll it or close
it. Here a queue lies in shared memory and has no descriptor, so one is made when it is asked for:
it is readable while the queue has an item.
"""

from __future__ import annotations

import os
import threading

from forkful import _core
from forkful.reduction import ForkingPickler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Reader", "Writer"]

# How long the watching thread waits for an item before it looks whether the queue is there still.
_SLICE_SECONDS = 1.0
# How often it looks whether other processes have emptied the queue. What this process takes it is
# told of.
_LOOK_SECONDS = 0.02


class _Watch:
    """A descriptor that is readable while a queue has items, and a thread that makes it so.

    With one process that receives it is exact: when get() has taken the last item, the descriptor
    is not readable any more. Where another process takes that, it may be for a moment.

    Race: each change of the descriptor is made together with the look that it is based on, under a
    lock. A get() that takes the last item looks after that, and so has the last word.
    """

    def __init__(self, queue: Any) -> None:
        self.queue = _core.twin_of(queue)  # which does not keep the object that is watched
        self.over = False
        self._begin(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def _begin(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.pid = os.getpid()
        # A signal's handler, or a finalizer, may call get() in the middle of settle().
        self.lock = threading.RLock()
        self.taken = threading.Event()
        self.settle()
        threading.Thread(target=self._run, name="forkful-queue-watch", daemon=True).start()

    def fileno(self) -> int:
        """The descriptor, right in this process: a forked child gets another one of its number.

        It says what is so now: select() asks for it each time, and the thread may be late.
        """
        if self.pid != os.getpid():
            own = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            os.dup2(own, self.descriptor, inheritable=False)
            os.close(own)
            self._begin(self.descriptor)
        self.settle()
        return self.descriptor

    def settle(self) -> None:
        """Make the descriptor say what is so."""
        with self.lock:
            if self.over:
                return
            if self.queue.empty() and not _core.is_shut_down(self.queue):
                try:
                    os.eventfd_read(self.descriptor)
                except BlockingIOError:
                    pass  # it says so already
            else:
                try:
                    os.eventfd_write(self.descriptor, 1)
                except BlockingIOError:
                    pass  # it has said so very often

    def on_empty(self) -> None:
        """Called when this process has taken the last item, also by a forked child."""
        if self.pid == os.getpid():
            self.settle()
            self.taken.set()

    def _run(self) -> None:
        while not self.over and not _core.is_shut_down(self.queue):
            if _core.await_item(self.queue, _SLICE_SECONDS):
                # At each look: it may have been emptied and filled again since the last one.
                while not (self.over or self.queue.empty()):
                    self.taken.clear()
                    self.settle()
                    self.taken.wait(_LOOK_SECONDS)
                self.settle()
        self.settle()
        while not self.over:
            self.taken.wait(_SLICE_SECONDS)
        with self.lock:
            os.close(self.descriptor)

    def end(self) -> None:
        """Nobody is interested any more; the thread closes the descriptor, if it runs here."""
        self.over = True
        if self.pid == os.getpid():
            self.taken.set()
        else:
            os.close(self.descriptor)


class Watched:
    """Ends the watch of a queue when the queue's object goes."""

    def __init__(self, queue: Any) -> None:
        self.watch = _Watch(queue)
        _core.on_empty(queue, self.watch.on_empty)

    def __del__(self) -> None:
        watch = getattr(self, "watch", None)
        if watch is not None:
            watch.end()


class _End:
    readable = writable = False

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        # The engine's own methods: those of a subclass may be what calls here.
        self._type: Any = _core.SimpleQueue if isinstance(queue, _core.SimpleQueue) else _core.Queue

    @property
    def closed(self) -> bool:
        """Whether it was closed in this process, by itself or with the queue."""
        return _core.is_closed_end(self._queue, self.readable)

    def close(self) -> None:
        """Close this end of the queue for this process, and leave the other one as it is."""
        _core.close_end(self._queue, self.readable)

    def fileno(self) -> int:
        raise NotImplementedError

    def _check_open(self) -> None:
        if self.closed:
            raise OSError("handle is closed")

    def _refuse(self, what: str) -> NoReturn:
        raise OSError(f"connection is {what}")

    def __enter__(self) -> _End:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._queue!r}>"


class Reader(_End):
    """The end of a queue that items come out of."""

    readable = True

    def fileno(self) -> int:
        """A descriptor that select() finds readable while the queue has an item.

        It is good in this process, for as long as the queue's object is there. The first call
        starts a thread.

        Raises:
            OSError: This end is closed.
        """
        self._check_open()
        watched = self._queue.__dict__.get("_watched")
        if watched is None:
            watched = self._queue.__dict__.setdefault("_watched", Watched(self._queue))
        return int(watched.watch.fileno())

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is an item, or one comes in so many seconds; it stays in the queue.

        Raises:
            OSError: This end is closed.
        """
        return _core.await_item(self._queue, timeout)

    def _is_ready(self) -> bool:
        # For connection.wait(). A process that has put an item and ended is seen to have ended at
        # once, but the thread that makes the descriptor readable may come later.
        return self.poll()

    def recv(self) -> Any:
        """The oldest item.

        Raises: As get() of the queue.
        """
        return self._type.get(self._queue)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """The pickle of the oldest item.

        Raises: As get() of the queue.
        """
        return ForkingPickler.dumps(self.recv())

    def send(self, obj: Any) -> NoReturn:
        """Items go into the other end.

        Raises:
            OSError: Always.
        """
        self._refuse("read-only")


class Writer(_End):
    """The end of a queue that items go into."""

    writable = True

    def fileno(self) -> int:
        """A descriptor that select() finds writable.

        Raises:
            OSError: This end is closed.
        """
        self._check_open()
        always = self._queue.__dict__.get("_always")
        if always is None:
            always = self._queue.__dict__.setdefault("_always", _Always())
        return int(always.descriptor)

    def send(self, obj: Any) -> None:
        """Put an item.

        Raises: As put() of the queue.
        """
        self._type.put(self._queue, obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Put the item whose pickle this is.

        Raises: As put() of the queue, and what unpickling raises.
        """
        end = None if size is None else offset + size
        self.send(ForkingPickler.loads(memoryview(buf)[offset:end]))

    def poll(self, timeout: float | None = 0.0) -> NoReturn:
        """Items come out of the other end.

        Raises:
            OSError: Always.
        """
        self._refuse("write-only")

    def recv(self) -> NoReturn:
        """Items come out of the other end.

        Raises:
            OSError: Always.
        """
        self._refuse("write-only")


class _Always:
    """A descriptor that is always writable."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        os.close(self.descriptor)
