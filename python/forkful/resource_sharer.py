"""Descriptors that other members of the family can come for.

A descriptor that is pickled outside a start is duplicated here, and its number is sent. Whoever
unpickles it connects to a thread of this process, which hands the duplicate over, once. This
process has to live until then.
"""

from __future__ import annotations

import _thread
import itertools
import os
import time

from forkful import _log, process, reduction
from forkful._errors import AuthenticationError

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Any

    from forkful.connection import Connection, Listener

__all__ = ["DupFd", "stop"]

# How many seconds one that has connected has to say what it came for.
_PATIENCE = 10.0
# Nobody else waits so long; after that, whoever is slow is served by a thread of its own.
_AT_ONCE = 0.05


class DupFd:
    """A descriptor, to be pickled; detach() in the receiver gives its own.

    Raises:
        OSError: It is closed, or the system has no room for another one.
    """

    def __init__(self, fd: int) -> None:
        duplicate = os.dup(fd)

        def send(conn: Connection, pid: int) -> None:
            reduction.send_handle(conn, duplicate, pid)

        try:
            self._id = _resource_sharer.register(send, lambda: os.close(duplicate))
        except BaseException:
            os.close(duplicate)
            raise

    def detach(self) -> int:
        """The descriptor. It can be had once.

        Raises:
            OSError: The process that has sent it is gone.
            EOFError: The process that has sent it is gone, or somebody has had it already.
        """
        try:
            with _resource_sharer.get_connection(self._id) as conn:
                return reduction.recv_handle(conn)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise type(error)(
                error.errno, "cannot receive a descriptor: the process that has sent it is gone"
            ) from None
        except EOFError:
            raise EOFError(
                "cannot receive a descriptor: it was received before, or the process that has sent "
                "it is gone"
            ) from None


class _ResourceSharer:
    """What this process has to hand over, and the thread that does."""

    def __init__(self) -> None:
        self._keys = itertools.count(1)
        self._forget()
        # A child has neither the thread nor anything to hand over, however it was forked.
        os.register_at_fork(after_in_child=self._afterfork)

    def _forget(self) -> None:
        self._lock = _thread.allocate_lock()
        self._offers: dict[int, tuple[Callable[[Any, int], object], Callable[[], object]]] = {}
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    def _afterfork(self) -> None:
        listener, offers = self._listener, list(self._offers.values())
        self._forget()
        # Else the other end of a pipe would not see its end while the child lives.
        for _, close in offers:
            close()
        if listener is not None:
            listener.close()

    def register(
        self, send: Callable[[Any, int], object], close: Callable[[], object]
    ) -> tuple[Any, int]:
        """Offer what `send` sends over a connection to the process with a pid.

        Args:
            close: Called afterwards, and when it is no longer offered.
        Returns: What get_connection() finds it by.
        """
        with self._lock:
            if self._listener is None:
                self._start()
                assert self._listener is not None
            key = next(self._keys)
            self._offers[key] = send, close
            return self._listener.address, key

    @staticmethod
    def get_connection(ident: tuple[Any, int]) -> Connection:
        """A connection over which comes what was offered under that name."""
        from forkful.connection import Client

        address, key = ident
        conn = Client(address, authkey=process.current_process().authkey)
        try:
            conn.send((key, os.getpid()))
        except BaseException:
            conn.close()
            raise
        return conn

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, and what is offered still.

        Args:
            timeout: How many seconds to wait for the thread at most.
        Raises:
            OSError: The system has no room for the connection that tells the thread so.
        """
        from forkful.connection import Client

        with self._lock:
            listener, thread = self._listener, self._thread
            if listener is None or thread is None:
                return
            with Client(listener.address, authkey=process.current_process().authkey) as conn:
                conn.send(None)
            thread.join(timeout)
            if thread.is_alive():
                _log.sub_warning("the thread that shares resources does not end")
                return
            self._listener = self._thread = None
            listener.close()
            while self._offers:
                _, (_, close) = self._offers.popitem()
                close()

    def _start(self) -> None:
        # All that the thread will need: a child that is forked while another thread imports a
        # module finds half of it, for ever.
        import hmac  # noqa: F401
        import signal
        import threading

        from forkful.connection import Listener

        _ = reduction.send_handle

        # The thread takes over the mask. Signals are for the threads of the program.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        try:
            listener = Listener(authkey=process.current_process().authkey, backlog=128)
            try:
                thread = threading.Thread(
                    target=self._serve, args=(listener,), name="forkful-sharer", daemon=True
                )
                thread.start()
            except BaseException:
                listener.close()
                raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._listener, self._thread = listener, thread

    def _serve(self, listener: Listener) -> None:
        while True:
            try:
                conn = listener.accept()
            except (OSError, EOFError, AuthenticationError) as error:
                if listener._listener is None:
                    return
                _log.info("nothing was shared with somebody who has connected: %s", error)
                time.sleep(0.01)  # Why: where no descriptor is left, it would fail again at once
                continue
            if conn.poll(_AT_ONCE):
                if not self._hand_over(conn):
                    return
            else:
                _thread.start_new_thread(self._hand_over, (conn,))

    def _hand_over(self, conn: Connection) -> bool:
        """Serve one; False: it says that the thread is to end."""
        with conn:
            try:
                if not conn.poll(_PATIENCE):
                    return True
                request = conn.recv()
                if request is None:
                    return False
                key, pid = request
                offer = self._offers.pop(key, None)
                if offer is not None:
                    send, close = offer
                    try:
                        send(conn, pid)
                    finally:
                        close()
            except Exception as error:
                _log.info("sharing a resource has failed: %s", error)
            return True


_resource_sharer = _ResourceSharer()
stop = _resource_sharer.stop
