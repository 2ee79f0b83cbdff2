"""Connections: messages over a descriptor, and waiting for them."""

from __future__ import annotations

import errno
import io
import math
import os
import select
import sys
import time

from forkful import _core, _refusals, context, reduction
from forkful._errors import BufferTooShort

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn, Self

    from typing_extensions import Buffer

__all__ = ["Connection", "Pipe", "rebuild_connection", "reduce_connection", "use_pickler", "wait"]

# What a program has put in the place of the context's ForkingPickler.
_pickler: Any = None


def use_pickler(pickler: Any) -> None:
    """Have connections write and read by another class than ForkingPickler."""
    global _pickler
    _pickler = pickler


class Connection:
    """One end of a stream of messages: a socket, or an end of a pipe.

    It can be sent to another process at any time, by a queue, by another connection or as an
    argument; the receiver has a descriptor of its own then. send() and recv() are for one thread at
    a time each.

    Args:
        handle: The descriptor, which closes with it.
        readable: Whether it can receive.
        writable: Whether it can send.
    Raises:
        ValueError: The handle is below 0, or it can do neither.
        AttributeError: The handle is no integer.
    """

    # The descriptor; None when it is closed. Whoever sets it to None keeps the descriptor open.
    _handle: int | None = None
    _broken_off = False  # half a message was sent, and the rest never comes

    def __init__(self, handle: int, readable: bool = True, writable: bool = True) -> None:
        if not (readable or writable):
            raise ValueError("at least one of readable and writable must be True")
        if not hasattr(handle, "__index__"):
            raise AttributeError(f"{handle!r} has no '__index__': a descriptor is an integer")
        if handle.__index__() < 0:
            raise ValueError(f"invalid handle: {handle} is no descriptor")
        self._receives, self._sends = readable, writable
        self._partial = bytearray()  # what has come of a message whose receiver was interrupted
        self._handle = handle.__index__()

    # --- what it is ---

    def _check_closed(self) -> int:
        handle = self._handle
        if handle is None:
            self._check_whole()
            raise OSError("handle is closed: this connection was closed before")
        return handle

    def _check_readable(self) -> int:
        handle = self._check_closed()
        if not self._receives:
            raise OSError("connection is write-only: the other end of the pipe receives")
        return handle

    def _check_writable(self) -> int:
        handle = self._check_closed()
        if not self._sends:
            raise OSError("connection is read-only: the other end of the pipe sends")
        self._check_whole()
        return handle

    def _check_whole(self) -> None:
        if self._broken_off:
            raise BrokenPipeError(
                errno.EPIPE,
                "this connection sends no more: an exception, such as a signal's handler raises, "
                "has ended an earlier send in the middle of its message, and the other end reads "
                "the end of the file there. Make another connection",
            )

    def fileno(self) -> int:
        """The descriptor.

        Raises:
            OSError: It is closed.
        """
        return self._check_closed()

    @property
    def readable(self) -> bool:
        """Whether this end receives."""
        return self._receives

    @property
    def writable(self) -> bool:
        """Whether this end sends."""
        return self._sends

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._handle is None

    def __reduce__(self) -> Any:
        return reduce_connection(self)

    # --- the end ---

    def close(self) -> None:
        """Close it: the other end receives what was sent, and then EOFError."""
        self._release()

    # Why a default: what dies last at the interpreter's end finds this module's globals gone.
    def _release(self, close: Any = os.close) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            close(handle)

    def __del__(self) -> None:
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- sending ---

    def send(self, obj: Any) -> None:
        """Send an object, as its pickle.

        Raises:
            Exception: What pickling raises; nothing is sent then.
            OSError: It is closed, or can only receive.
            BrokenPipeError: The other end is closed, or its process is gone; or an earlier message
                was sent by half, since a signal's handler has raised: nothing can follow that.
        """
        self._check_writable()
        try:
            data = (_pickler or context.reduction.ForkingPickler).dumps(obj)
        except Exception as error:
            _refusals.note_object(error, "what send() was given")
            raise
        self._send_bytes(data)

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send bytes as one message.

        Args:
            buf: bytes, or another object with a buffer.
            offset: Where in it they begin.
            size: How many; by default all that follow.
        Raises:
            TypeError: buf has no buffer, or offset or size is no integer.
            ValueError: offset or size is beyond the buffer.
            OSError: It is closed, or can only receive.
            BrokenPipeError: As send().
        """
        self._check_writable()
        try:
            view = memoryview(buf)
        except TypeError:
            raise TypeError(
                f"send_bytes() takes bytes or another bytes-like object, not "
                f"{type(buf).__name__}; send() sends any object"
            ) from None
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        if offset or size is not None:
            _check_integer("offset", offset)
            _check_integer("size", 0 if size is None else size)
            end = view.nbytes if size is None else offset + size
            if not 0 <= offset <= end <= view.nbytes:
                raise ValueError(
                    f"offset {offset} and size {size} are not within a buffer of {view.nbytes} "
                    "bytes"
                )
            view = view[offset:end]
        self._send_bytes(view)

    def _send_bytes(self, buf: Buffer) -> None:
        _core.send(self._check_writable(), buf, self._break_off)

    def _break_off(self) -> None:
        """Half a message was sent, and its rest never comes: the other end is told by the end."""
        self._broken_off = True
        if not self._receives:
            self.close()
            return
        import socket

        try:
            with socket.socket(fileno=os.dup(self._check_closed())) as sock:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()  # it is no socket, or the other end is gone

    # --- receiving ---

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive; that may be the end.

        Args:
            timeout: How many seconds to wait for it; None: as long as it takes.
        Raises:
            OSError: It is closed, or can only send.
            TypeError, ValueError: timeout is no number.
        """
        self._check_readable()
        return self._poll(timeout)

    def _poll(self, timeout: float | None) -> bool:
        poller = select.poll()
        poller.register(self._check_closed(), select.POLLIN)
        return bool(_poll(poller, timeout))

    def recv(self) -> Any:
        """Receive the next object.

        Only from whom you trust: a pickle can do anything when it is loaded.

        Raises:
            Exception: What unpickling raises; the message is consumed then.
            EOFError: The other end is closed, or its process is gone.
            OSError: It is closed, or can only send.
        """
        try:
            return (_pickler or context.reduction.ForkingPickler).loads(self._receive())
        except AttributeError as error:
            _core.note_missing(error)
            raise

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive the next message as bytes.

        Args:
            maxlength: The most bytes that are accepted. After a longer message nothing more can
                be received.
        Raises:
            EOFError: The other end is closed, or its process is gone.
            OSError: The message is too long, what came is no message, it is closed, or it can only
                send.
        """
        if maxlength is not None:
            self._check_readable()
            if isinstance(maxlength, float):
                # Nothing is longer than what is no finite number.
                maxlength = math.floor(maxlength) if math.isfinite(maxlength) else sys.maxsize
            _check_integer("maxlength", maxlength)
            if maxlength < 0:
                raise ValueError(f"negative maxlength: {maxlength}")
        return self._receive(maxlength)

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive the next message into a buffer; returns how many bytes it has.

        Raises:
            TypeError: buf is no buffer that can be written, or offset is no integer.
            BufferTooShort: The buffer has not the room; args[0] is the message.
            ValueError: offset is beyond the buffer.
            EOFError: The other end is closed, or its process is gone.
            OSError: It is closed, or can only send.
        """
        self._check_readable()
        _check_integer("offset", offset)
        try:
            view = memoryview(buf)
        except TypeError:
            _refuse_buffer(buf)
        with view as given, given.cast("B") as room:
            if room.readonly:
                _refuse_buffer(buf)
            if not 0 <= offset <= len(room):
                raise ValueError(f"offset {offset} is not within a buffer of {len(room)} bytes")
            message = self._receive()
            end = offset + len(message)
            if end > len(room):
                raise BufferTooShort(message)
            room[offset:end] = message
            return len(message)

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO:
        return io.BytesIO(self._receive(maxsize))

    def _receive(self, most: int | None = None) -> bytes:
        message = _core.receive(self._check_readable(), self._partial, most)
        if isinstance(message, int):
            self._refuse_message(message, most)
        return message

    def _refuse_message(self, size: int, most: int | None) -> NoReturn:
        # Its bytes are still to come, and nobody knows how many they are.
        if self._sends:
            self._receives = False
        else:
            self.close()
        if size < 0:
            raise OSError(f"bad message length: {size}; what came is no message")
        raise OSError(f"bad message length: {size} bytes, and at most {most} are accepted")


def reduce_connection(conn: Connection) -> tuple[Any, ...]:
    """How a connection is pickled: its descriptor is handed over when it is unpickled."""
    return rebuild_connection, (reduction.DupFd(conn.fileno()), conn.readable, conn.writable)


def rebuild_connection(df: Any, readable: bool, writable: bool) -> Connection:
    """The connection that was pickled, with a descriptor of this process."""
    return Connection(df.detach(), readable, writable)


reduction.register(Connection, reduce_connection)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Two connections, each of which receives what the other sends.

    Args:
        duplex: False: the first can only receive, and the second only send.
    Raises:
        OSError: The system has no room for them.
    """
    if not duplex:
        reader, writer = os.pipe()
        return Connection(reader, writable=False), Connection(writer, readable=False)
    import socket

    ends = socket.socketpair()
    for end in ends:
        end.setblocking(True)  # whatever socket.setdefaulttimeout() says
    return Connection(ends[0].detach()), Connection(ends[1].detach())


def _check_integer(name: str, value: object) -> None:
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}")


def _refuse_buffer(buf: object) -> NoReturn:
    raise TypeError(
        f"a message cannot be received into {type(buf).__name__}: give a bytearray, or another "
        "object whose buffer can be written"
    )


def _descriptor_of(obj: Any) -> int:
    fd = obj if isinstance(obj, int) else getattr(obj, "fileno", None)
    if callable(fd):
        fd = fd()
    if not isinstance(fd, int) or fd < 0:
        raise ValueError(
            f"cannot wait for {obj!r}: it is no connection, socket, or sentinel of a process"
        )
    return fd


def _is_ready(obj: Any) -> bool:
    """Whether a queue's end, whose descriptor is made readable by a thread, has an item already."""
    ask = getattr(obj, "_is_ready", None)
    return ask is not None and ask() is True


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Those of the objects that have something to receive, or whose process has ended.

    Args:
        object_list: Connections, sockets, sentinels of processes; whatever has a fileno().
        timeout: How many seconds to wait for the first; None: as long as it takes.
    Raises:
        ValueError: One of them has no descriptor.
        OSError: One of them is closed.
        TypeError, ValueError: timeout is no number.
    """
    objects = [(obj, _descriptor_of(obj)) for obj in object_list]
    poller = select.poll()
    for _, fd in objects:
        poller.register(fd, select.POLLIN)
    ready = {fd for fd, _ in _poll(poller, timeout)}
    return [obj for obj, fd in objects if fd in ready or _is_ready(obj)]


def _poll(poller: select.poll, timeout: float | None) -> list[tuple[int, int]]:
    if timeout is None:
        return poller.poll()
    if not isinstance(timeout, float | int):
        try:
            timeout = float(timeout.__float__())
        except AttributeError:
            kind = type(timeout).__name__
            raise TypeError(f"timeout must be a number of seconds or None, not {kind}") from None
    if timeout != timeout:
        raise ValueError("timeout must be a number of seconds, not nan")
    if timeout <= 0:
        return poller.poll(0)
    end = time.monotonic() + timeout
    while True:
        left = max(0.0, end - time.monotonic())
        # The kernel counts in milliseconds, and no further than to 2**31.
        ready = poller.poll(math.ceil(min(left * 1000, 2**31 - 1)))
        if ready or time.monotonic() >= end:
            return ready
