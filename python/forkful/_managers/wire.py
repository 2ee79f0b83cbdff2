"""Connections between managers' servers and their clients.

A stock Python process may be at the other end. So what we send calls our classes by the names that
multiprocessing has for them, and such names in what we receive mean ours.
"""

from __future__ import annotations

import importlib
import io
import pickle
import types

from forkful import _refusals, connection
from forkful.reduction import ForkingPickler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Wire", "connect_with_patience", "listener_client"]

_OURS = "forkful"
_STANDARD = "multiprocessing"


def _to_standard(module: str) -> str | None:
    """What multiprocessing calls a public module of ours; None for any other."""
    first, *rest = module.split(".")
    if first != _OURS or any(each.startswith("_") for each in rest):
        return None
    return ".".join((_STANDARD, *rest))


def _to_ours(module: str) -> str:
    first, dot, rest = module.partition(".")
    return f"{_OURS}{dot}{rest}" if first == _STANDARD else module


class _Module:
    """A module of the other end's, which there is by its import."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, (self.name,)


class _Pickler(ForkingPickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)):
            module = _to_standard(obj.__module__ or "")
            if module is not None:
                return getattr, (_Module(module), obj.__qualname__)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "importlib" and name == "import_module":
            return _import_ours
        return super().find_class(_to_ours(module), name)


def _import_ours(name: str) -> types.ModuleType:
    return importlib.import_module(_to_ours(name))


def _pickle(obj: Any) -> bytes:
    return _Pickler.dumps(obj)


def _unpickle(data: bytes) -> Any:
    return _Unpickler(io.BytesIO(data)).load()


def _to_xml(obj: Any) -> bytes:
    from xmlrpc import client

    return client.dumps((obj,), allow_none=True).encode()


def _from_xml(data: bytes) -> Any:
    from xmlrpc import client

    ((obj,), _) = client.loads(data.decode())
    return obj


class Wire:
    """A connection that sends objects by a serializer of its own.

    Attributes:
        is_settled: Whether no answer is due. A connection that an exception has left unsettled
            must not be used again: what it would receive next belongs to an earlier request.
        patience: How many seconds to wait for a message at most; None: as long as it takes.
    """

    _dumps: Callable[[Any], bytes] = staticmethod(_pickle)
    _loads: Callable[[bytes], Any] = staticmethod(_unpickle)

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self.is_settled = True
        self.patience: float | None = None

    def send(self, obj: Any) -> None:
        """Send an object.

        Raises:
            OSError: The other end is gone.
            Exception: What pickling raises; then nothing was sent.
        """
        try:
            data = self._dumps(obj)
        except Exception as error:
            _refusals.note_request(error, obj, self._dumps)
            raise
        self.is_settled = False
        self._conn.send_bytes(data)

    def recv(self) -> Any:
        """Wait for an object.

        Raises:
            EOFError, OSError: The other end is gone.
            TimeoutError: It has sent nothing for so long as there is patience.
            Exception: What unpickling raises; the message has been taken then.
        """
        data = self.recv_bytes()
        self.is_settled = True
        return self._loads(data)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """As Connection.send_bytes().

        Raises: As that.
        """
        self._conn.send_bytes(buf, offset, size)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """As Connection.recv_bytes().

        Raises: As that, and TimeoutError as recv().
        """
        if self.patience is not None and not self._conn.poll(self.patience):
            raise TimeoutError(f"nothing was received for {self.patience} seconds")
        return self._conn.recv_bytes(maxlength)  # type: ignore[no-any-return]

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether something can be received.

        Raises:
            OSError: It is closed.
        """
        return self._conn.poll(timeout)  # type: ignore[no-any-return]

    def fileno(self) -> int:
        """Its descriptor.

        Raises:
            OSError: It is closed.
        """
        return self._conn.fileno()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close it; again has no effect."""
        self._conn.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._conn.closed  # type: ignore[no-any-return]

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _XmlWire(Wire):
    _dumps = staticmethod(_to_xml)
    _loads = staticmethod(_from_xml)


class _WireListener(connection.Listener):
    _wire = Wire

    def accept(self) -> Any:
        return self._wire(super().accept())


class _XmlWireListener(_WireListener):
    _wire = _XmlWire


def _client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Wire:
    return Wire(_connect(address, family, authkey))


def _xml_client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Wire:
    return _XmlWire(_connect(address, family, authkey))


def _connect(address: Any, family: str | None, authkey: bytes | None) -> Any:
    try:
        conn = connection.Client(address, family, authkey)
    except FileNotFoundError:
        # The socket's file goes with an orderly end. To a caller that is a server that is gone.
        raise ConnectionRefusedError(
            f"no manager serves at {address!r}: it has been shut down, or was never started"
        ) from None
    if not isinstance(address, (str, bytes)):
        _send_at_once(conn.fileno())
    return conn


def _send_at_once(fd: int) -> None:
    """Have a TCP connection send a message though an earlier one is not acknowledged yet.

    The end of the handshake and the first request follow each other; without this, the kernel would
    keep the request back for the 40 ms that the server's kernel takes to acknowledge the former.
    """
    import os
    import socket

    with socket.socket(fileno=os.dup(fd)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def connect_with_patience(
    client: Callable[..., Any], address: Any, authkey: bytes, patience: float | None
) -> Any:
    """A connection to a server, by a function of listener_client.

    Args:
        patience: How many seconds to wait for it, and for each of its messages; None: as long as
            it takes.
    Raises:
        TimeoutError: It has sent nothing for so long, or so many others wait for it.
        AuthenticationError, EOFError, OSError: As Client().
    """
    if patience is None or client not in (_client, _xml_client):
        return client(address, authkey=authkey)
    conn = (Wire if client is _client else _XmlWire)(_reach(address, patience))
    conn.patience = patience
    try:
        connection.answer_challenge(conn, authkey)
        connection.deliver_challenge(conn, authkey)
    except BaseException:
        conn.close()
        raise
    return conn


def _reach(address: Any, patience: float) -> Any:
    import socket
    import struct

    with socket.socket(getattr(socket, connection.address_type(address))) as sock:
        # A socket's own timeout does not do: Python would not wait at all for room at AF_UNIX.
        whole, part = divmod(max(patience, 0.001), 1)  # 0 would be for ever
        bound = struct.pack("ll", int(whole), int(part * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
        try:
            sock.connect(address)
        except BlockingIOError:
            raise TimeoutError(f"the server at {address!r} accepts nobody") from None
        conn = connection.Connection(sock.detach())
    if not isinstance(address, str | bytes):
        _send_at_once(conn.fileno())
    return conn


# What listens, and what connects, by the name of the serializer.
listener_client: dict[str, tuple[Any, Any]] = {
    "pickle": (_WireListener, _client),
    "xmlrpclib": (_XmlWireListener, _xml_client),
}
