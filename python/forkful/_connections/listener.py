"""Listening for connections from other programs, and connecting to one that listens."""

from __future__ import annotations

import os

from forkful import _finalize
from forkful._connections import authentication
from forkful._connections.addresses import (
    address_type,
    arbitrary_address,
    default_family,
    is_abstract,
    validate_family,
)
from forkful._connections.stream import Connection

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import socket
    from typing import Any, Self

    from forkful._connections.admission import Admission

__all__ = ["Client", "Listener", "SocketClient", "SocketListener"]


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # the program has been faster


def _listening(address: Any, family: str, backlog: int) -> socket.socket:
    import socket

    sock = socket.socket(getattr(socket, family))
    try:
        sock.settimeout(None)  # whatever socket.setdefaulttimeout() says
        # A port can be had again at once after the last program that had it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        try:
            sock.bind(address)
        except TypeError as error:
            raise TypeError(f"cannot listen at {address!r}: {error}") from None
        if not hasattr(backlog, "__index__"):
            raise TypeError(f"backlog must be an integer, not {backlog!r}")
        sock.listen(backlog)
        return sock
    except BaseException:
        sock.close()
        raise


class SocketListener:
    """A socket that listens.

    Args:
        address: Where; with AF_INET (host, port), with AF_UNIX a path.
        family: "AF_INET" or "AF_UNIX".
        backlog: How many may have connected before they are accepted.
    Raises:
        OSError: The address is in use, or cannot be had.
    """

    def __init__(self, address: Any, family: str, backlog: int = 1) -> None:
        self._socket = _listening(address, family, backlog)
        self._address = self._socket.getsockname()
        self._family = family
        self._last_accepted: Any = None
        self._unlink: _finalize.Finalize | None = None
        if family == "AF_UNIX" and not is_abstract(address):
            self._unlink = _finalize.Finalize(self, _remove, args=(address,), exitpriority=0)

    def accept(self) -> Connection:
        """The next connection."""
        return self._made(*self._socket.accept())

    def _made(self, accepted: socket.socket, address: Any) -> Connection:
        accepted.setblocking(True)  # whatever socket.setdefaulttimeout() says
        self._last_accepted = address
        return Connection(accepted.detach())

    def close(self) -> None:
        """Stop listening; the file of the socket is removed."""
        try:
            self._socket.close()
        finally:
            unlink, self._unlink = self._unlink, None
            if unlink is not None:
                unlink()


class Listener:
    """Accepts connections from other programs.

        with Listener(("localhost", 6000), authkey=b"secret") as listener:
            connection = listener.accept()

    Args:
        address: (host, port), where port 0 is any free one; or the path of a socket; by default
            one that nobody uses, which `.address` tells.
        family: "AF_INET" or "AF_UNIX"; by default that of the address.
        backlog: How many may have connected before they are accepted.
        authkey: The key that the other end has to know; None: anybody may connect.
        handshake_timeout: How many seconds one that has connected has to show that it knows the
            key. Then its connection is closed. None: for ever. In the meantime others are accepted.
    Raises:
        TypeError: authkey is not bytes.
        ValueError: There is no such family, or the address is none.
        OSError: The address is in use, or cannot be had.
    """

    def __init__(
        self,
        address: Any = None,
        family: str | None = None,
        backlog: int = 1,
        authkey: bytes | None = None,
        *,
        handshake_timeout: float | None = 10.0,
    ) -> None:
        family = family or (address and address_type(address)) or default_family
        validate_family(family)
        _check_authkey(authkey)
        self._listener: SocketListener | None = SocketListener(
            address or arbitrary_address(family), family, backlog
        )
        self._authkey = authkey
        self._admission: Admission | None = None
        if authkey is not None:
            from forkful._connections.admission import Admission

            self._admission = Admission(self._listener._socket, authkey, handshake_timeout)

    def _open(self) -> SocketListener:
        if self._listener is None:
            raise OSError("listener is closed")
        return self._listener

    def accept(self) -> Connection:
        """The next connection. With a key only ends that know it are accepted.

        Others can be accepted after an error as before.

        Raises:
            AuthenticationError: Somebody has connected who does not know the key.
            EOFError: Somebody has gone away in the middle of the handshake.
            OSError: It is closed, or what came was no handshake.
        """
        listener = self._open()
        if self._admission is None:
            return listener.accept()
        return listener._made(*self._admission.accept())

    def close(self) -> None:
        """Stop listening; the file of the socket is removed.

        Raises:
            OSError: The file cannot be removed.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._admission is not None:
                self._admission.close()
            listener.close()

    @property
    def address(self) -> Any:
        """Where it listens."""
        return self._open()._address

    @property
    def last_accepted(self) -> Any:
        """The address of the other end of the last connection, or None where it is not known."""
        return self._open()._last_accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def SocketClient(address: Any) -> Connection:
    """A connection to a socket that listens at the address."""
    import socket

    with socket.socket(getattr(socket, address_type(address))) as sock:
        sock.setblocking(True)
        try:
            sock.connect(address)
        except TypeError as error:
            raise TypeError(f"cannot connect to {address!r}: {error}") from None
        return Connection(sock.detach())


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Connection:
    """Connect to a Listener.

    Args:
        address: As Listener() has it.
        family: "AF_INET" or "AF_UNIX"; by default that of the address.
        authkey: The key that the listener has; None where it has none.
    Raises:
        AuthenticationError: The listener has another key.
        EOFError: It has closed the connection in the middle of the handshake.
        TypeError: authkey is not bytes.
        ValueError: There is no such family, or the address is none.
        OSError: Nobody listens there.
    """
    validate_family(family or address_type(address))
    _check_authkey(authkey)
    connection = SocketClient(address)
    if authkey is not None:
        try:
            authentication.converse(connection, authentication.sending_end(authkey))
        except BaseException:
            connection.close()
            raise
    return connection


def _check_authkey(authkey: bytes | None) -> None:
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError(f"authkey should be a byte string, not {type(authkey).__name__}")
