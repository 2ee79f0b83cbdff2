"""Which process holds how many references to a server's objects, for when it dies with them.

A client that is killed cannot give its references back. Those of this machine are known by their
pid, which the kernel says of a socket's other end, and are looked at when a connection has ended
and when an object is made. Of other machines' clients nothing is known, and theirs stay.

Race: what a process has sent just before its death may be read after its references were released.
So what was released is remembered for a while, and giving it back once more has no effect.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections import Counter

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Holders", "peer_of"]

_CREDENTIALS = struct.Struct("3i")  # pid, user, group
_MOST_REMEMBERED = 1000  # a guess: more than a process can have on its way when it dies


def peer_of(conn: Any) -> int:
    """The pid of a connection's other end; 0 where that is not on this machine, or not known."""
    try:
        with socket.socket(fileno=os.dup(conn.fileno())) as end:
            data = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0
    return max(0, int(_CREDENTIALS.unpack(data)[0]))


class _Holder:
    """A process, and its references."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)
        self.counts: Counter[str] = Counter()

    def has_ended(self) -> bool:
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return bool(poller.poll(0))

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)  # which takes it out of the epoll, too


class Holders:
    """The processes that hold references."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[int, _Holder] = {}
        self._ends = select.epoll()  # of the holders
        self._released: dict[tuple[int, str], int] = {}

    def take(self, pid: int, ident: str) -> None:
        """A process holds a further reference to an object."""
        if pid == 0:
            return
        with self._lock:
            holder = self._holders.get(pid)
            if holder is None:
                try:
                    holder = _Holder(pid)
                    self._ends.register(holder.fd, select.EPOLLIN)
                except OSError:
                    return  # it is gone already, or no descriptor is left: its references stay
                self._holders[pid] = holder
            holder.counts[ident] += 1

    def give_back(self, pid: int, ident: str) -> bool:
        """Whether a reference that a process gives back is still to be released."""
        with self._lock:
            holder = self._holders.get(pid)
            if holder is not None and holder.counts[ident] > 0:
                holder.counts[ident] -= 1
                if not holder.counts[ident]:
                    del holder.counts[ident]
                if not holder.counts:
                    del self._holders[pid]
            elif self._released.get((pid, ident), 0) > 0:
                self._released[pid, ident] -= 1
                return False
        return True

    def has_references(self, pid: int) -> bool:
        """Whether a process holds any."""
        return pid in self._holders

    def left_by_the_dead(self, patience: float = 0.0) -> list[str]:
        """The objects to release, each as often as processes referred to it that have ended.

        Args:
            patience: How many seconds to wait for an end.
        """
        left: list[str] = []
        for fd, _ in self._ends.poll(patience):
            with self._lock:
                # Race: the number may have become that of another holder, who lives.
                for holder in [each for each in self._holders.values() if each.fd == fd]:
                    if not holder.has_ended():
                        continue
                    del self._holders[holder.pid]
                    left += holder.counts.elements()
                    self._remember(holder)
        return left

    def _remember(self, holder: _Holder) -> None:
        for ident, count in holder.counts.items():
            self._released[holder.pid, ident] = count
        while len(self._released) > _MOST_REMEMBERED:
            del self._released[next(iter(self._released))]
