"""The proxies of what a SyncManager offers.

Those of containers have what Python 3.14's have, under every version.
"""

from __future__ import annotations

import time
import types

from forkful._managers.proxy import BaseProxy, MakeProxyType

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BasePoolProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "NamespaceProxy",
    "PoolProxy",
    "SetProxy",
    "ValueProxy",
]


class IteratorProxy(BaseProxy):
    """An iterator or a generator of the server."""

    _exposed_ = ("__next__", "send", "throw", "close")

    def __iter__(self) -> IteratorProxy:
        return self

    def __next__(self, *args: Any) -> Any:
        return self._callmethod("__next__", args)

    def send(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """
        return self._callmethod("send", args)

    def throw(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """
        return self._callmethod("throw", args)

    def close(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """
        return self._callmethod("close", args)


# --- what one waits at ---


class AcquirerProxy(BaseProxy):
    """A lock or a semaphore of the server; a thread of this process is one of its threads there."""

    _exposed_: tuple[str, ...] = ("acquire", "release")

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> Any:
        """Take it; returns whether it did.

        Raises:
            ValueError: A timeout without blocking.
        """
        if timeout is None:
            return self._callmethod("acquire", (blocking,))
        return self._callmethod("acquire", (blocking, timeout))

    def release(self) -> Any:
        """Give it back.

        Raises:
            RuntimeError, ValueError: It was not taken.
        """
        return self._callmethod("release")

    def __enter__(self) -> Any:
        return self._callmethod("acquire")

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any:
        return self._callmethod("release")


class ConditionProxy(AcquirerProxy):
    """A condition of the server."""

    _exposed_ = ("acquire", "release", "wait", "notify", "notify_all")

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for a notification; returns whether one came within `timeout` seconds.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """
        return self._callmethod("wait", (timeout,))

    def notify(self, n: int = 1) -> Any:
        """Wake `n` waiters.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """
        return self._callmethod("notify", (n,))

    def notify_all(self) -> Any:
        """Wake all waiters.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """
        return self._callmethod("notify_all")

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until `predicate`, which is called here, is true; returns what it has said last.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not (said := predicate()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return said


class EventProxy(BaseProxy):
    """A flag of the server."""

    _exposed_ = ("is_set", "set", "clear", "wait")

    def is_set(self) -> Any:
        """Whether it is set."""
        return self._callmethod("is_set")

    def set(self) -> Any:
        """Set it, and wake all waiters."""
        return self._callmethod("set")

    def clear(self) -> Any:
        """Unset it."""
        return self._callmethod("clear")

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is set; returns whether it is, after at most `timeout` seconds."""
        return self._callmethod("wait", (timeout,))


class BarrierProxy(BaseProxy):
    """A barrier of the server."""

    _exposed_ = ("__getattribute__", "wait", "abort", "reset")

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the other parties; returns this one's number.

        Raises:
            threading.BrokenBarrierError: It is broken, or breaks meanwhile.
        """
        return self._callmethod("wait", (timeout,))

    def abort(self) -> Any:
        """Break it."""
        return self._callmethod("abort")

    def reset(self) -> Any:
        """Make it whole; those that wait get BrokenBarrierError."""
        return self._callmethod("reset")

    @property
    def parties(self) -> Any:
        """How many it takes to pass."""
        return self._callmethod("__getattribute__", ("parties",))

    @property
    def n_waiting(self) -> Any:
        """How many wait."""
        return self._callmethod("__getattribute__", ("n_waiting",))

    @property
    def broken(self) -> Any:
        """Whether it is broken."""
        return self._callmethod("__getattribute__", ("broken",))


# --- values ---


class NamespaceProxy(BaseProxy):
    """An object whose attributes are kept by the server; `_names` are the proxy's own."""

    _exposed_ = ("__getattribute__", "__setattr__", "__delattr__")

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            return object.__getattribute__(self, key)
        return self._callmethod("__getattribute__", (key,))

    def __setattr__(self, key: str, value: Any) -> None:
        if key.startswith("_"):
            object.__setattr__(self, key, value)
        else:
            self._callmethod("__setattr__", (key, value))

    def __delattr__(self, key: str) -> None:
        if key.startswith("_"):
            object.__delattr__(self, key)
        else:
            self._callmethod("__delattr__", (key,))


class ValueProxy(BaseProxy):
    """A value that the server keeps."""

    _exposed_ = ("get", "set")

    def get(self) -> Any:
        """A copy of the value."""
        return self._callmethod("get")

    def set(self, value: Any) -> Any:
        """Replace the value."""
        return self._callmethod("set", (value,))

    value = property(get, set)

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


ArrayProxy = MakeProxyType("ArrayProxy", ("__len__", "__getitem__", "__setitem__"))


# --- containers ---

BaseListProxy = MakeProxyType(
    "BaseListProxy",
    "__add__ __contains__ __delitem__ __getitem__ __len__ __mul__ __reversed__ __rmul__ "
    "__setitem__ append clear copy count extend index insert pop remove reverse sort "
    "__imul__".split(),
)


class ListProxy(BaseListProxy):  # type: ignore[misc, valid-type]
    """A list of the server."""

    def __iadd__(self, value: Any) -> ListProxy:
        self._callmethod("extend", (value,))
        return self

    def __imul__(self, value: Any) -> ListProxy:
        self._callmethod("__imul__", (value,))
        return self

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


_BaseDictProxy = MakeProxyType(
    "DictProxy",
    "__contains__ __delitem__ __getitem__ __ior__ __iter__ __len__ __or__ __reversed__ __ror__ "
    "__setitem__ clear copy fromkeys get items keys pop popitem setdefault update values".split(),
)


class DictProxy(_BaseDictProxy):  # type: ignore[misc, valid-type]
    """A dict of the server."""

    _method_to_typeid_ = {"__iter__": "Iterator", "__reversed__": "Iterator"}

    def __ior__(self, value: Any) -> DictProxy:
        self._callmethod("update", (value,))
        return self

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


_BaseSetProxy = MakeProxyType(
    "_BaseSetProxy",
    "__and__ __contains__ __ge__ __gt__ __iand__ __ior__ __isub__ __iter__ __ixor__ __le__ "
    "__len__ __lt__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ "
    "add clear copy difference difference_update discard intersection intersection_update "
    "isdisjoint issubset issuperset pop remove symmetric_difference symmetric_difference_update "
    "union update".split(),
)


class SetProxy(_BaseSetProxy):  # type: ignore[misc, valid-type]
    """A set of the server."""

    _method_to_typeid_ = {"__iter__": "Iterator"}

    def _change(self, method: str, other: Any) -> Any:
        if isinstance(other, SetProxy):
            other = other._getvalue()
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        self._callmethod(method, (other,))
        return self

    def __ior__(self, value: Any) -> Any:
        return self._change("update", value)

    def __iand__(self, value: Any) -> Any:
        return self._change("intersection_update", value)

    def __isub__(self, value: Any) -> Any:
        return self._change("difference_update", value)

    def __ixor__(self, value: Any) -> Any:
        return self._change("symmetric_difference_update", value)

    __class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[var-annotated]


# --- pools ---

BasePoolProxy = MakeProxyType(
    "PoolProxy",
    "apply apply_async close imap imap_unordered join map map_async starmap starmap_async "
    "terminate".split(),
)


class PoolProxy(BasePoolProxy):  # type: ignore[misc, valid-type]
    """A pool of processes of the server."""

    _method_to_typeid_ = {
        "apply_async": "AsyncResult",
        "map_async": "AsyncResult",
        "starmap_async": "AsyncResult",
        "imap": "Iterator",
        "imap_unordered": "Iterator",
    }

    def __enter__(self) -> PoolProxy:
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        self.terminate()
