"""The objects of a server, and who refers to them.

Proxies in clients are counted. A proxy that lies in an object of the server itself, a list in a
dict say, is not: it keeps its object as long as it exists. When neither is left the object goes.

Threads: any number. Finalizers run anywhere, also where this thread has the mutex, so they only
note what has gone; and an object's own end, which may run code of others, comes without the mutex.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    # The object, the methods that may be called, and those of them that make proxies.
    Entry = tuple[Any, Any, Any]

__all__ = ["Objects"]


class Objects:
    """A server's tables, by the ids that tokens have."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.entries: dict[str, Entry] = {"0": (None, (), None)}
        self.counts: dict[str, int] = {}
        self.local: dict[str, Entry] = {}
        self._local_counts: Counter[str] = Counter()
        self._gone: deque[str] = deque()
        self._sent = threading.local()

    def find(self, ident: str) -> Entry:
        """The entry of an object.

        Raises:
            KeyError: It is not there, or not any more.
        """
        try:
            return self.entries[ident]
        except KeyError:
            return self.local[ident]

    def add(self, obj: Any, exposed: Iterable[str], method_to_typeid: Any) -> str:
        """Enter an object, with a first reference, or a further one where it is there already."""
        ident = f"{id(obj):x}"
        with self.mutex:
            self.entries[ident] = (obj, set(exposed), method_to_typeid)
            self.counts[ident] = self.counts.get(ident, 0) + 1
        return ident

    def refer(self, ident: str) -> None:
        """Count a further proxy of a client.

        Raises:
            KeyError: The object is not there any more.
        """
        with self.mutex:
            if ident not in self.counts:
                self.entries[ident] = self.local[ident]
            self.counts[ident] = self.counts.get(ident, 0) + 1

    def release(self, ident: str) -> bool:
        """A client's proxy has gone; returns whether it was the last.

        Raises:
            KeyError: None was left.
        """
        with self.mutex:
            if ident not in self.counts and ident in self.local:
                return False
            self.counts[ident] -= 1
            if self.counts[ident]:
                return False
            del self.counts[ident]
            gone = self.entries.pop(ident)
        del gone  # the end of the object, perhaps
        return True

    # --- proxies within the server ---

    def keep(self, ident: str) -> None:
        """Keep an object for a proxy that is about to be made here, and then given to watch().

        Raises:
            KeyError: It is not there any more.
        """
        with self.mutex:
            self.local[ident] = self.find(ident)
            self._local_counts[ident] += 1

    def drop(self, ident: str) -> None:
        """Undo keep(); done by the next call of collect()."""
        self._gone.append(ident)

    def watch(self, proxy: Any, ident: str) -> None:
        """Undo keep() when the proxy is gone."""
        weakref.finalize(proxy, self._gone.append, ident).atexit = False

    def collect(self) -> None:
        """Let go what only proxies have kept that are gone."""
        while self._gone:
            try:
                ident = self._gone.popleft()
            except IndexError:
                return  # another thread was faster
            gone = None
            with self.mutex:
                self._local_counts[ident] -= 1
                if self._local_counts[ident] <= 0:
                    del self._local_counts[ident]
                    gone = self.local.pop(ident, None)
            del gone  # which may note further ones

    # --- proxies on their way to a client ---

    def begin_serving(self) -> None:
        """This thread serves a client: what is sent in its answers waits for the next request."""
        self._sent.proxies = []

    def is_on_its_way(self, proxy: Any) -> None:
        """Keep a proxy that is being pickled until the client has had time to refer to it.

        What is popped from a container, say, is not there any more when its answer is sent.
        """
        kept = getattr(self._sent, "proxies", None)
        if kept is not None:
            kept.append(proxy)

    def has_arrived(self) -> None:
        """The client's next request is here, so it has read the answer to the one before."""
        if self._sent.proxies:
            self._sent.proxies = []
