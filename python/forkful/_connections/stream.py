"""Connections: messages over a descriptor, and waiting for them."""

from __future__ import annotations

import io
import math
import os
import select
import time

from forkful import context, reduction
from forkful._errors import BufferTooShort

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self

    from typing_extensions import Buffer

__all__ = [
    "Connection",
    "ConnectionBase",
    "Pipe",
    "rebuild_connection",
    "reduce_connection",
    "wait",
]

_MOST_SHORT = 0x7FFFFFFF  # the longest message whose length has four bytes
# A message is sent with its header up to so many bytes, which are copied for that. A guess: as much
# as costs no more to copy than a second call of the kernel.
_MOST_COPIED = 16384
# Memory is taken for this much ahead of the bytes, since a length is only what the other end says.
_AHEAD = 1 << 20


class ConnectionBase:
    """What connections have, however their bytes travel."""

    _handle: int | None = None

    def __init__(self, handle: int, readable: bool = True, writable: bool = True) -> None:
        handle = handle.__index__()
        if handle < 0:
            raise ValueError(f"invalid handle: {handle} is no descriptor")
        if not readable and not writable:
            raise ValueError("at least one of readable and writable must be True")
        self._handle = handle
        self._readable = readable
        self._writable = writable

    def __del__(self) -> None:
        if self._handle is not None:
            self._close()

    def _close(self) -> None:
        raise NotImplementedError

    def _send_bytes(self, buf: Buffer) -> None:
        raise NotImplementedError

    def _receive(self, maxlength: int | None = None) -> bytes:
        raise NotImplementedError

    def _poll(self, timeout: float | None) -> bool:
        raise NotImplementedError

    def _check_closed(self) -> int:
        if self._handle is None:
            raise OSError("handle is closed: this connection was closed before")
        return self._handle

    def _check_readable(self) -> None:
        if not self._readable:
            raise OSError("connection is write-only: the other end of the pipe receives")

    def _check_writable(self) -> None:
        if not self._writable:
            raise OSError("connection is read-only: the other end of the pipe sends")

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._handle is None

    @property
    def readable(self) -> bool:
        """Whether this end receives."""
        return self._readable

    @property
    def writable(self) -> bool:
        """Whether this end sends."""
        return self._writable

    def fileno(self) -> int:
        """The descriptor.

        Raises:
            OSError: It is closed.
        """
        return self._check_closed()

    def close(self) -> None:
        """Close it: the other end receives what was sent, and then EOFError."""
        if self._handle is not None:
            try:
                self._close()
            finally:
                self._handle = None

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send bytes as one message.

        Args:
            buf: bytes, or another object with a buffer.
            offset: Where in it they begin.
            size: How many; by default all that follow.
        Raises:
            ValueError: offset or size is beyond the buffer.
            OSError: It is closed, or can only receive.
            BrokenPipeError: The other end is closed, or its process is gone.
        """
        self._check_closed()
        self._check_writable()
        view = memoryview(buf)
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        length = view.nbytes
        if offset < 0:
            raise ValueError(f"offset is negative: {offset}")
        if size is not None and size < 0:
            raise ValueError(f"size is negative: {size}")
        if offset > length:
            raise ValueError(f"buffer length < offset: {length} < {offset}")
        if size is not None and offset + size > length:
            raise ValueError(f"buffer length < offset + size: {length} < {offset} + {size}")
        self._send_bytes(view[offset : length if size is None else offset + size])

    def send(self, obj: Any) -> None:
        """Send an object, as its pickle.

        Raises:
            Exception: What pickling raises; nothing is sent then.
            OSError: It is closed, or can only receive.
            BrokenPipeError: The other end is closed, or its process is gone.
        """
        self._check_closed()
        self._check_writable()
        self._send_bytes(context.reduction.ForkingPickler.dumps(obj))

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
        self._check_closed()
        self._check_readable()
        if maxlength is not None and maxlength < 0:
            raise ValueError(f"negative maxlength: {maxlength}")
        return self._receive(maxlength)

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive the next message into a buffer; returns how many bytes it has.

        Raises:
            BufferTooShort: The buffer has not the room; args[0] is the message.
            ValueError: offset is beyond the buffer.
            EOFError: The other end is closed, or its process is gone.
            OSError: It is closed, or can only send.
        """
        self._check_closed()
        self._check_readable()
        with memoryview(buf) as given, given.cast("B") as view:
            if offset < 0:
                raise ValueError(f"negative offset: {offset}")
            if offset > len(view):
                raise ValueError(f"offset too large: {offset} of {len(view)} bytes")
            message = self._receive()
            size = len(message)
            if size > len(view) - offset:
                raise BufferTooShort(message)
            view[offset : offset + size] = message
            return size

    def recv(self) -> Any:
        """Receive the next object.

        Only from whom you trust: a pickle can do anything when it is loaded.

        Raises:
            Exception: What unpickling raises; the message is consumed then.
            EOFError: The other end is closed, or its process is gone.
            OSError: It is closed, or can only send.
        """
        self._check_closed()
        self._check_readable()
        return context.reduction.ForkingPickler.loads(self._receive())

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive; that may be the end.

        Args:
            timeout: How many seconds to wait for it; None: as long as it takes.
        Raises:
            OSError: It is closed, or can only send.
        """
        self._check_closed()
        self._check_readable()
        return self._poll(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Connection(ConnectionBase):
    """One end of a stream of messages: a socket, or an end of a pipe.

    It can be sent to another process at any time, by a queue, by another connection or as an
    argument; the receiver has a descriptor of its own then. send() and recv() are for one thread at
    a time each.

    Args:
        handle: The descriptor, which closes with it.
        readable: Whether it can receive.
        writable: Whether it can send.
    """

    def _close(self, _close: Callable[[int], None] = os.close) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            _close(handle)

    def __reduce__(self) -> Any:
        return reduce_connection(self)

    def _send_bytes(self, buf: Buffer) -> None:
        view = memoryview(buf)
        size = view.nbytes
        if size > _MOST_SHORT:
            header = b"\xff\xff\xff\xff" + size.to_bytes(8, "big")
        else:
            header = size.to_bytes(4, "big")
        if size <= _MOST_COPIED:
            # In one piece: it is one call, and other senders' messages do not come in between.
            self._write_all(header + view)
        else:
            self._write_all(header)
            self._write_all(view)

    def _write_all(self, data: Buffer) -> None:
        handle = self._check_closed()
        written = os.write(handle, data)
        view = memoryview(data)
        while written < view.nbytes:
            written += os.write(handle, view[written:])

    def _receive(self, maxlength: int | None = None) -> bytes:
        size = int.from_bytes(self._read_exactly(4), "big", signed=True)
        if size == -1:
            size = int.from_bytes(self._read_exactly(8), "big", signed=True)
        if size < 0 or (maxlength is not None and size > maxlength):
            self._refuse_message(size, maxlength)
        return self._read_exactly(size)

    def _refuse_message(self, size: int, maxlength: int | None) -> None:
        # Its bytes are still to come, and nobody knows how many they are.
        if self._writable:
            self._readable = False
        else:
            self.close()
        if size < 0:
            raise OSError(f"bad message length: {size}; what came is no message")
        raise OSError(f"bad message length: {size} bytes, and at most {maxlength} are accepted")

    def _read_exactly(self, size: int) -> bytes:
        handle = self._check_closed()
        data = os.read(handle, min(size, _AHEAD))
        if len(data) == size:
            return data
        if not data:
            raise EOFError("the other end of the connection is closed, or its process is gone")
        whole = bytearray(data)
        while len(whole) < size:
            data = os.read(handle, min(size - len(whole), _AHEAD))
            if not data:
                raise OSError("got end of file during message: its sender is gone")
            whole += data
        return bytes(whole)

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO:
        return io.BytesIO(self._receive(maxsize))

    def _poll(self, timeout: float | None) -> bool:
        return bool(wait([self], timeout))


def reduce_connection(conn: ConnectionBase) -> tuple[Any, ...]:
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


def _descriptor_of(obj: Any) -> int:
    fd = obj if isinstance(obj, int) else getattr(obj, "fileno", None)
    if callable(fd):
        fd = fd()
    if not isinstance(fd, int) or fd < 0:
        raise ValueError(
            f"cannot wait for {obj!r}: it is no connection, socket, or sentinel of a process"
        )
    return fd


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Those of the objects that have something to receive, or whose process has ended.

    Args:
        object_list: Connections, sockets, sentinels of processes; whatever has a fileno().
        timeout: How many seconds to wait for the first; None: as long as it takes.
    Raises:
        ValueError: One of them has no descriptor.
        OSError: One of them is closed.
    """
    objects = [(obj, _descriptor_of(obj)) for obj in object_list]
    poller = select.poll()
    for _, fd in objects:
        poller.register(fd, select.POLLIN)
    end = math.inf if timeout is None else time.monotonic() + timeout
    milliseconds = None
    while True:
        if timeout is not None:
            left = max(0.0, end - time.monotonic()) if timeout > 0 else 0.0
            milliseconds = min(math.ceil(left * 1000), 2**31 - 1)
        ready = {fd for fd, _ in poller.poll(milliseconds)}
        if ready or (timeout is not None and (timeout <= 0 or time.monotonic() >= end)):
            return [obj for obj, fd in objects if fd in ready]
