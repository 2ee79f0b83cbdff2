"""Queues over a pipe, for classes of programs that are made of one.

A program's own starter of processes, joblib's say, may hand a queue to children in which the
standard library runs. It derives a class from Queue or SimpleQueue whose state is the ends of the
queue's pipe, and their locks. Such a class gets a pipe: its methods here take the places of those
that go through shared memory. A thread sends what was put, as programs of that kind override it.
"""

from __future__ import annotations

import collections
import os
import threading
import time
from queue import Empty, Full

from forkful import _finalize, _fork
from forkful import reduction as _reduction

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["end_of_items", "has_pipe", "give_pipe"]

end_of_items = object()
_MOST_ITEMS = 2**31 - 1


def has_pipe(kind: type) -> bool:
    """Whether a class says by its __getstate__() that it is made of a pipe."""
    state = vars(kind).get("__getstate__")
    return "_reader" in getattr(getattr(state, "__code__", None), "co_names", ())


def give_pipe(kind: type, is_simple: bool) -> None:
    """Let a class have a pipe; what it defines itself stays."""
    for name, method in (_SIMPLE if is_simple else _METHODS).items():
        if name not in vars(kind):
            setattr(kind, name, method)
    kind._make_pipe = _make_simple if is_simple else _make  # type: ignore[attr-defined]


def _make_ends(queue: Any, ctx: Any) -> None:
    from forkful.connection import Pipe

    queue._reader, queue._writer = Pipe(duplex=False)
    queue._rlock, queue._wlock = ctx.Lock(), ctx.Lock()


def _make_simple(queue: Any, ctx: Any) -> None:
    _make_ends(queue, ctx)
    queue._poll = queue._reader.poll


def _make(queue: Any, ctx: Any, maxsize: int) -> None:
    _make_ends(queue, ctx)
    queue._opid = os.getpid()
    queue._maxsize = maxsize if maxsize > 0 else _MOST_ITEMS
    queue._sem = ctx.BoundedSemaphore(queue._maxsize)
    queue._ignore_epipe = False
    queue._reset()
    _fork.register_after_fork(queue, lambda queue: queue._reset())


def _reset(queue: Any, after_fork: bool = False) -> None:
    """As it is in a process that has not used it."""
    queue._buffer = collections.deque()
    queue._notempty = threading.Condition(threading.Lock())
    queue._thread = queue._jointhread = queue._close = None
    queue._joincancelled = queue._closed = False
    queue._send_bytes = queue._writer.send_bytes
    queue._recv_bytes = queue._reader.recv_bytes
    queue._poll = queue._reader.poll


def _put(queue: Any, obj: Any, block: bool = True, timeout: float | None = None) -> None:
    if queue._closed:
        raise ValueError(f"Queue {queue!r} is closed")
    if not queue._sem.acquire(block, timeout):
        raise Full
    with queue._notempty:
        if queue._thread is None:
            queue._start_thread()
        queue._buffer.append(obj)
        queue._notempty.notify()


def _get(queue: Any, block: bool = True, timeout: float | None = None) -> Any:
    if queue._closed:
        raise ValueError(f"Queue {queue!r} is closed")
    end = None if timeout is None else time.monotonic() + timeout
    if not queue._rlock.acquire(block, timeout):
        raise Empty
    try:
        left = 0.0 if not block else None if end is None else max(0.0, end - time.monotonic())
        if not queue._poll(left):
            raise Empty
        message = queue._recv_bytes()
    finally:
        queue._rlock.release()
    queue._sem.release()
    return _reduction.ForkingPickler.loads(message)


def _start_thread(queue: Any) -> None:
    queue._buffer.clear()
    # Why its parts: the queue would live as long as the thread.
    parts = queue._buffer, queue._notempty, queue._writer, queue._wlock, queue._sem
    queue._thread = threading.Thread(
        target=_feed,
        args=(*parts, queue._on_queue_feeder_error),
        name=f"{_fork.OWN_THREADS}feeder",
        daemon=True,
    )
    queue._thread.start()
    if not queue._joincancelled:
        queue._jointhread = _finalize.Finalize(queue._thread, queue._thread.join, exitpriority=-5)
    queue._close = _finalize.Finalize(
        queue, _finalize_close, (queue._buffer, queue._notempty), exitpriority=10
    )


def _feed(
    buffer: collections.deque[Any],
    filled: threading.Condition,
    writer: Any,
    lock: Any,
    sem: Any,
    failed: Callable[[BaseException, Any], object],
) -> None:
    while True:
        with filled:
            filled.wait_for(lambda: buffer)
            obj = buffer.popleft()
        if obj is end_of_items:
            writer.close()
            return
        try:
            message = _reduction.ForkingPickler.dumps(obj)
            with lock:
                writer.send_bytes(message)
        except Exception as error:
            if _finalize.is_exiting():
                return
            sem.release()
            failed(error, obj)
        del obj


def _finalize_close(buffer: collections.deque[Any], notempty: threading.Condition) -> None:
    with notempty:
        buffer.append(end_of_items)
        notempty.notify()


def _finalize_join(thread: Callable[[], threading.Thread | None]) -> None:
    if (alive := thread()) is not None:
        alive.join()


def _close(queue: Any) -> None:
    queue._closed = True
    end, queue._close = queue._close, None
    if end is not None:
        end()


def _join_thread(queue: Any) -> None:
    assert queue._closed, f"Queue {queue!r} is not closed: call close() first"
    if queue._jointhread is not None:
        queue._jointhread()


def _cancel_join_thread(queue: Any) -> None:
    queue._joincancelled = True
    if queue._jointhread is not None:
        queue._jointhread.cancel()


def _put_now(queue: Any, obj: Any) -> None:
    with queue._wlock:
        queue._writer.send_bytes(_reduction.ForkingPickler.dumps(obj))


def _get_next(queue: Any) -> Any:
    with queue._rlock:
        message = queue._reader.recv_bytes()
    return _reduction.ForkingPickler.loads(message)


def _close_ends(queue: Any) -> None:
    for end in (queue._reader, queue._writer):
        end.close()


# Set in the instance: these hide what the class would find it by.
_HIDDEN = dict.fromkeys(["_reader", "_writer", "_rlock", "_wlock", "_poll"])
_SIMPLE: dict[str, Any] = {
    **_HIDDEN,
    "put": _put_now,
    "get": _get_next,
    "empty": lambda queue: not queue._reader.poll(),
    "close": _close_ends,
}
_METHODS: dict[str, Any] = {
    **_HIDDEN,
    **dict.fromkeys(["_buffer", "_sem", "_maxsize", "_closed"]),
    "put": _put,
    "get": _get,
    "put_nowait": lambda queue, obj: queue.put(obj, False),
    "get_nowait": lambda queue: queue.get(False),
    "qsize": lambda queue: queue._maxsize - queue._sem.get_value(),
    "empty": lambda queue: not queue._poll(),
    "full": lambda queue: queue._sem.get_value() == 0,
    "close": _close,
    "join_thread": _join_thread,
    "cancel_join_thread": _cancel_join_thread,
    "_reset": _reset,
    "_start_thread": _start_thread,
    "_finalize_close": staticmethod(_finalize_close),
    "_finalize_join": staticmethod(_finalize_join),
}
