"""Who may come in: the handshakes of those that have connected to a Listener with a key.

Several are carried on at a time, so that one who connects and says nothing keeps nobody waiting.
Each has a deadline, after which it is as if it had never connected. At most MOST_PENDING are
pending: when one more comes, the one whose deadline is next is sent away.

Threads: any number may be in accept() at a time, and a signal's handler may call it in the middle
of another call. All of a process wait at one epoll, in which a pending socket is disarmed by the
event that it gives, so exactly one thread goes on with it. Fork: the handshakes belong to the
process that began them; a child begins with none, and an epoll of its own.
"""

from __future__ import annotations

import _thread
import hmac  # noqa: F401  # a fork while a thread that accepts imports it would leave half of it
import os
import select
import socket
import time

from forkful import _log
from forkful._connections import authentication

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MOST_PENDING", "Admission"]

MOST_PENDING = 64  # a guess: more clients than connect within a round trip, few descriptors

_HEADER = 4  # bytes that say how long a message is


class _Guest:
    """One that has connected: its socket, and how far its handshake is."""

    def __init__(self, sock: socket.socket, address: Any, authkey: bytes, deadline: float) -> None:
        self.sock = sock
        self.address = address
        self.deadline = deadline
        self._steps = authentication.receiving_end(authkey)
        self._have = b""
        self._need: int | None = None  # bytes of the message, once its header has come

    def begin(self) -> None:
        self.sock.setblocking(False)
        self._answer(None)

    def go_on(self) -> bool:
        """Take what has come. Whether the handshake is done.

        Never reads past a message: what follows the handshake is the program's.

        Raises:
            AuthenticationError: The guest does not know the key.
            EOFError: It has closed the connection.
            OSError: What came is too long for a message of a handshake, or the socket's error.
        """
        while True:
            wanted = _HEADER if self._need is None else self._need
            if len(self._have) < wanted:
                try:
                    chunk = self.sock.recv(wanted - len(self._have))
                except BlockingIOError:
                    return False
                if not chunk:
                    raise EOFError("a client has closed its connection before it was authenticated")
                self._have += chunk
            elif self._need is None:
                self._need = int.from_bytes(self._have, "big", signed=True)
                self._have = b""
                if not 0 <= self._need <= authentication.MOST_BYTES:
                    raise OSError(
                        f"bad message length: a client that was not authenticated yet announces "
                        f"{self._need} bytes"
                    )
            else:
                message, self._have, self._need = self._have, b"", None
                if self._answer(message):
                    return True

    def _answer(self, received: bytes | None) -> bool:
        while True:
            try:
                message = self._steps.send(received)
            except StopIteration:
                return True
            if message is None:
                return False
            # Fits into the empty buffer of a socket that nothing was sent by yet.
            self.sock.sendall(len(message).to_bytes(_HEADER, "big") + message)
            received = None


class Admission:
    """Accepts for a listening socket, and authenticates.

    Args:
        listening: The socket; its descriptor no longer blocks afterwards.
        authkey: The key.
        timeout: How many seconds a handshake may take at most; None: for ever.
    """

    def __init__(self, listening: socket.socket, authkey: bytes, timeout: float | None) -> None:
        self._listening = listening
        self._authkey = authkey
        self._timeout = float("inf") if timeout is None else timeout
        # Another process that accepts may be faster; then accept() must not wait in the kernel.
        os.set_blocking(listening.fileno(), False)
        self._lock = _thread.allocate_lock()
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        self._guests: dict[int, _Guest] = {}
        self._epoll = select.epoll()
        self._epoll.register(self._listening.fileno(), select.EPOLLIN)
        self._pid = os.getpid()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection whose other end knows the key, and its address.

        Raises:
            AuthenticationError: Somebody has connected who does not know it.
            EOFError: Somebody has gone away in the middle of the handshake.
            TimeoutError: The listening socket has a timeout, which has passed.
            OSError: The listener is closed, or the system has no room for a connection.
        """
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self.close()
                    self._begin_in_this_process()
        patience = self._listening.gettimeout()
        end = None if patience is None else time.monotonic() + patience
        while True:
            for fd, _ in self._epoll.poll(self._seconds_until(end), 1):
                if fd == self._listening.fileno():
                    self._welcome()
                else:
                    guest = self._go_on(fd)
                    if guest is not None:
                        return guest.sock, guest.address
                break
            else:
                self._send_late_ones_away()
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError("timed out")

    def _seconds_until(self, end: float | None) -> float | None:
        due = [guest.deadline for guest in list(self._guests.values())]
        if end is not None:
            due.append(end)
        first = min(due, default=float("inf"))
        return None if first == float("inf") else max(0.0, first - time.monotonic())

    def _welcome(self) -> None:
        try:
            sock, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # taken by another process, or gone already
        guest = _Guest(sock, address, self._authkey, time.monotonic() + self._timeout)
        try:
            guest.begin()
            waiting = list(self._guests.items())
            if len(waiting) >= MOST_PENDING:
                fd, _ = min(waiting, key=lambda each: each[1].deadline)
                self._send_away(fd, "too many others have connected since")
            self._guests[sock.fileno()] = guest
            self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        except BaseException:
            self._guests.pop(sock.fileno(), None)
            sock.close()
            raise

    def _go_on(self, fd: int) -> _Guest | None:
        guest = self._guests.pop(fd, None)
        if guest is None:
            return None
        try:
            if not guest.go_on():
                self._guests[fd] = guest
                self._await(guest)
                return None
            self._epoll.unregister(fd)
            guest.sock.setblocking(True)
            return guest
        except BaseException:
            self._guests.pop(fd, None)
            self._dismiss(guest)
            raise

    def _await(self, guest: _Guest) -> None:
        try:
            self._epoll.modify(guest.sock, select.EPOLLIN | select.EPOLLONESHOT)
        except (OSError, ValueError):
            # Race: another thread may have sent it away just now, since it was late.
            if guest.sock.fileno() >= 0:
                raise

    def _send_late_ones_away(self) -> None:
        now = time.monotonic()
        for fd, guest in list(self._guests.items()):
            if guest.deadline <= now:
                self._send_away(fd, "it has not authenticated itself in time")

    def _send_away(self, fd: int, why: str) -> None:
        guest = self._guests.pop(fd, None)
        if guest is not None:
            _log.sub_warning("closing the connection from %r: %s", guest.address, why)
            self._dismiss(guest)

    def _dismiss(self, guest: _Guest) -> None:
        try:
            # A forked child may have its descriptor, too: closing alone would leave it registered.
            self._epoll.unregister(guest.sock.fileno())
        except (OSError, ValueError):
            pass
        guest.sock.close()

    def close(self) -> None:
        """Send those away whose handshake is pending. The listening socket is the caller's."""
        while self._guests:
            try:
                _, guest = self._guests.popitem()
            except KeyError:
                break
            guest.sock.close()
        self._epoll.close()
