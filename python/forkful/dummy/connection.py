"""The connections of the package, between threads: nothing is copied or pickled."""

from __future__ import annotations

from queue import Queue

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, Self

__all__ = ["Client", "Listener", "Pipe"]

families = [None]


class Connection:
    """One end of a stream of objects.

    Args:
        _in: The queue of what is received.
        _out: The queue into which it sends.
    """

    def __init__(self, _in: Queue[Any], _out: Queue[Any]) -> None:
        self._in = _in
        self._out = _out
        self.send = self.send_bytes = _out.put
        self.recv = self.recv_bytes = _in.get

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive.

        Args:
            timeout: How many seconds to wait for it; None: as long as it takes.
        """
        with self._in.not_empty:
            return (
                self._in.not_empty.wait_for(
                    self._in._qsize, None if timeout is None else max(0.0, timeout)
                )
                > 0
            )

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Listener:
    """Accepts connections of threads; its address is what Client() takes.

    Args:
        backlog: How many may have connected before they are accepted.
    """

    def __init__(self, address: object = None, family: object = None, backlog: int = 1) -> None:
        self._arrivals: Queue[Connection] | None = Queue(backlog)

    def accept(self) -> Connection:
        """The next connection.

        Raises:
            OSError: It is closed.
        """
        return self.address.get()

    def close(self) -> None:
        """Stop accepting."""
        self._arrivals = None

    @property
    def address(self) -> Queue[Connection]:
        """Where it listens."""
        if self._arrivals is None:
            raise OSError("listener is closed")
        return self._arrivals

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def Client(address: Queue[Connection]) -> Connection:
    """Connect to a Listener; waits while its backlog is full.

    Raises:
        AttributeError: The address is none of a Listener.
    """
    here, there = Pipe()
    address.put(there)
    return here


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Two connections, each of which receives what the other sends.

    Args:
        duplex: For the likeness to the other Pipe(); both ends can do both.
    """
    forth: Queue[Any] = Queue()
    back: Queue[Any] = Queue()
    return Connection(forth, back), Connection(back, forth)
