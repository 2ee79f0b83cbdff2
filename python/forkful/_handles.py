"""Descriptors on their way between processes; the names are also those of `reduction`.

This is a module of its own, imported when one of its names is first used, since sockets are.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from abc import ABCMeta

from forkful import context, reduction

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "ACKNOWLEDGE",
    "HAVE_SEND_HANDLE",
    "AbstractReducer",
    "DupFd",
    "rebuild_socket",
    "recv_handle",
    "recvfds",
    "reduce_socket",
    "send_handle",
    "sendfds",
]

HAVE_SEND_HANDLE = True
ACKNOWLEDGE = False  # other systems lose descriptors that are not waited for

_INT = struct.calcsize("i")


def sendfds(sock: socket.socket, fds: Iterable[int]) -> None:
    """Send descriptors over a socket of AF_UNIX.

    Raises:
        OSError: One of them is closed, or the other end is gone.
    """
    numbers = array.array("i", fds)
    # At least one byte has to go with them; it says how many they are.
    sock.sendmsg(
        [bytes([len(numbers) % 256])],
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())],
    )


def recvfds(sock: socket.socket, size: int) -> list[int]:
    """Receive `size` descriptors over a socket of AF_UNIX.

    Raises:
        EOFError: The other end is closed.
        RuntimeError: What came is something else, or not as many.
    """
    message, controls, flags, _ = sock.recvmsg(
        1, socket.CMSG_SPACE(size * _INT), socket.MSG_CMSG_CLOEXEC
    )
    if not message and not controls:
        raise EOFError("the process that was to send descriptors has closed the connection")
    fds: list[int] = []
    for level, kind, data in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            whole = len(data) - len(data) % _INT
            fds += array.array("i", data[:whole])
    announced = message[0] if message else 0
    if len(fds) != size or announced != size % 256 or flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise RuntimeError(
            f"received {len(fds)} descriptors and the number {announced}, and not {size}: "
            "invalid data"
        )
    return fds


def send_handle(conn: Any, handle: int, destination_pid: int | None) -> None:
    """Send a descriptor over a connection whose other end calls recv_handle().

    Args:
        conn: A connection that is a socket of AF_UNIX, as those of Pipe() are.
        handle: The descriptor; it stays open here.
        destination_pid: Of no use on this system.
    Raises:
        OSError: The other end is gone, or the connection is no such socket.
    """
    with _socket_of(conn) as sock:
        sendfds(sock, [handle])


def recv_handle(conn: Any) -> int:
    """Receive a descriptor that the other end of the connection sends by send_handle().

    Raises:
        EOFError: The other end is closed.
        RuntimeError: What came is no descriptor.
    """
    with _socket_of(conn) as sock:
        (handle,) = recvfds(sock, 1)
        return handle


def _socket_of(conn: Any) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=os.dup(conn.fileno()))
    if sock.gettimeout() is not None:
        # By socket.setdefaulttimeout(); it would hold for the connection, too.
        sock.settimeout(None)
    return sock


def DupFd(fd: int) -> Any:
    """What a descriptor is pickled as: detach() of what is unpickled gives one that is the same.

    While a child is being started that is the start's matter. At any other time this process hands
    the descriptor over when the receiver asks for it, and has to live until then.

    Raises:
        OSError: It is closed, or the system has no room for another one.
    """
    popen = context.get_spawning_popen()
    if popen is not None:
        return popen.DupFd(popen.duplicate_for_child(fd))
    from forkful import resource_sharer

    return resource_sharer.DupFd(fd)


def reduce_socket(sock: socket.socket) -> tuple[Any, ...]:
    """How a socket is pickled."""
    return rebuild_socket, (reduction.DupFd(sock.fileno()), sock.family, sock.type, sock.proto)


def rebuild_socket(df: Any, family: int, type: int, proto: int) -> socket.socket:
    """The socket that was pickled, with a descriptor of this process."""
    return socket.socket(family, type, proto, fileno=df.detach())


reduction.register(socket.socket, reduce_socket)


class AbstractReducer(metaclass=ABCMeta):  # noqa: B024
    """What a subclass overrides to pickle in a way of its own; see BaseContext.reducer."""

    ForkingPickler = reduction.ForkingPickler
    register = reduction.register
    dump = staticmethod(reduction.dump)
    send_handle = staticmethod(send_handle)
    recv_handle = staticmethod(recv_handle)
    sendfds = staticmethod(sendfds)
    recvfds = staticmethod(recvfds)
    DupFd = staticmethod(DupFd)
    _reduce_method = staticmethod(reduction._reduce_method)
    _reduce_method_descriptor = staticmethod(reduction._reduce_method_descriptor)
    _rebuild_partial = staticmethod(reduction._rebuild_partial)
    _reduce_socket = staticmethod(reduce_socket)
    _rebuild_socket = staticmethod(rebuild_socket)

    def __init__(self, *args: object) -> None:  # noqa: B027
        """Nothing to do: what it has is registered already."""
