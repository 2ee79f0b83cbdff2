"""Messages between processes, over pipes and sockets.

Pipe() makes two connections that belong together. Listener and Client make connections between any
two programs, also on two machines. On the wire they are those of multiprocessing: a message is its
length and its bytes, so the other end may be a program that does not use forkful.
"""

from __future__ import annotations

from forkful import _picklers, reduction
from forkful._connections import authentication, stream
from forkful._connections.addresses import address_type as address_type
from forkful._connections.addresses import arbitrary_address as arbitrary_address
from forkful._connections.addresses import default_family as default_family
from forkful._connections.addresses import families as families
from forkful._connections.addresses import validate_family as _validate_family  # noqa: F401
from forkful._connections.authentication import CHALLENGE, FAILURE, WELCOME
from forkful._connections.authentication import MESSAGE_LENGTH as MESSAGE_LENGTH
from forkful._connections.listener import Client, Listener, SocketClient, SocketListener
from forkful._connections.stream import Connection as Connection
from forkful._connections.stream import Pipe, wait
from forkful._connections.stream import rebuild_connection as rebuild_connection
from forkful._connections.stream import reduce_connection as reduce_connection
from forkful._errors import AuthenticationError as AuthenticationError
from forkful._errors import BufferTooShort as BufferTooShort

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Client", "Listener", "Pipe", "wait"]

BUFSIZE = 8192
CONNECTION_TIMEOUT = 20.0

_ConnectionBase = Connection
_ForkingPickler = reduction.ForkingPickler
_picklers.tell_of_other(__name__, stream.use_pickler)
_CHALLENGE = CHALLENGE
_FAILURE = FAILURE
_WELCOME = WELCOME
_create_response = authentication.create_response
_verify_challenge = authentication.verify_response

# Their place is here, whichever file of ours they are in.
for _each in (Client, Connection, Listener, Pipe, SocketClient, SocketListener, wait):
    _each.__module__ = __name__


def deliver_challenge(connection: Any, authkey: bytes, digest_name: str = "sha256") -> None:
    """Have the other end show that it knows the key; it calls answer_challenge().

    Raises:
        AuthenticationError: It does not know it.
        EOFError: It has closed the connection.
        ValueError: authkey is not bytes, or the digest is not allowed.
    """
    authentication.converse(connection, authentication.challenging(authkey, digest_name))


def answer_challenge(connection: Any, authkey: bytes) -> None:
    """Show the other end that this one knows the key; it calls deliver_challenge().

    Raises:
        AuthenticationError: The other end has another key, or has sent no challenge.
        EOFError: It has closed the connection.
        ValueError: authkey is not bytes.
    """
    authentication.converse(connection, authentication.answering(authkey))


# --- objects as XML ---


class ConnectionWrapper:
    """A connection whose objects are written by `dumps` and read by `loads`, not by pickle."""

    def __init__(
        self, conn: Connection, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]
    ) -> None:
        self._conn = conn
        self._dumps = dumps
        self._loads = loads
        for name in ("fileno", "close", "poll", "recv_bytes", "send_bytes"):
            setattr(self, name, getattr(conn, name))

    def send(self, obj: Any) -> None:
        """Send an object."""
        self._conn.send_bytes(self._dumps(obj))

    def recv(self) -> Any:
        """Receive the next object."""
        return self._loads(self._conn.recv_bytes())


def _xml_dumps(obj: Any) -> bytes:
    from xmlrpc import client

    return client.dumps((obj,), allow_none=True).encode()


def _xml_loads(message: bytes) -> Any:
    from xmlrpc import client

    (obj,), _ = client.loads(message.decode())
    return obj


class XmlListener(Listener):
    """A Listener whose connections send objects as XML-RPC writes them."""

    def accept(self) -> Any:
        """The next connection, as Listener.accept()."""
        return ConnectionWrapper(super().accept(), _xml_dumps, _xml_loads)


def XmlClient(*args: Any, **kwds: Any) -> ConnectionWrapper:
    """Connect to an XmlListener; arguments as for Client()."""
    return ConnectionWrapper(Client(*args, **kwds), _xml_dumps, _xml_loads)
