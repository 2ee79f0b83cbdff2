"""The proxies of what a SyncManager offers.

Those of containers have what Python 3.14's have, under every version.
"""

# A method that is called in the server is declared by its signature and has no body.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import functools
import time
import types

from forkful._managers.proxy import BaseProxy, MakeProxyType

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _F = TypeVar("_F", bound=Callable[..., Any])

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


def _asked(declared: _F) -> _F:
    """A method that is called in the server, as it is called here; it is declared without a body.

    What its caller leaves out, the object's own method knows.
    """
    name = declared.__name__

    @functools.wraps(declared)
    def ask(self: BaseProxy, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    return ask  # type: ignore[return-value]


def _in_place(method: str) -> Callable[[Any, Any], Any]:
    """An operator such as +=, which `method` carries out; what it is applied to stays the proxy."""

    def change(self: BaseProxy, value: Any) -> BaseProxy:
        self._callmethod(method, (value,))
        return self

    return change


def _attribute(name: str, doc: str) -> Any:
    """A property that is read from the object."""
    return property(lambda self: self._callmethod("__getattribute__", (name,)), doc=doc)


# --- iterators ---


class IteratorProxy(BaseProxy):
    """An iterator or a generator of the server."""

    _exposed_ = ("__next__", "send", "throw", "close")

    def __iter__(self) -> IteratorProxy:
        return self

    @_asked
    def __next__(self, *args: Any) -> Any: ...

    @_asked
    def send(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """

    @_asked
    def throw(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """

    @_asked
    def close(self, *args: Any) -> Any:
        """As a generator's.

        Raises: As that.
        """


# --- what one waits at ---


class AcquirerProxy(BaseProxy):
    """A lock or a semaphore of the server; a thread of this process is one of its threads there."""

    _exposed_: tuple[str, ...] = ("acquire", "release")

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> Any:
        """Take it; returns whether it did.

        Raises:
            ValueError: A timeout without blocking.
        """
        limit = () if timeout is None else (timeout,)  # a lock there takes no None
        return self._callmethod("acquire", (blocking, *limit))

    @_asked
    def release(self) -> Any:
        """Give it back.

        Raises:
            RuntimeError, ValueError: It was not taken.
        """

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any:
        return self._callmethod("release")

    def __enter__(self) -> Any:
        return self._callmethod("acquire")


class ConditionProxy(AcquirerProxy):
    """A condition of the server."""

    _exposed_ = ("acquire", "release", "wait", "notify", "notify_all")

    @_asked
    def wait(self, timeout: float | None = None) -> Any:
        """Wait for a notification; returns whether one came within `timeout` seconds.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """

    @_asked
    def notify(self, n: int = 1) -> Any:
        """Wake `n` waiters.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """

    @_asked
    def notify_all(self) -> Any:
        """Wake all waiters.

        Raises:
            RuntimeError: This thread does not hold the condition.
        """

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

    @_asked
    def is_set(self) -> Any:
        """Whether it is set.

        Raises: As a proxy's every call, where the server is gone.
        """

    @_asked
    def set(self) -> Any:
        """Set it, and wake all waiters.

        Raises: As is_set().
        """

    @_asked
    def clear(self) -> Any:
        """Unset it.

        Raises: As is_set().
        """

    @_asked
    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is set; returns whether it is, after at most `timeout` seconds.

        Raises: As is_set().
        """


class BarrierProxy(BaseProxy):
    """A barrier of the server."""

    _exposed_ = ("__getattribute__", "wait", "abort", "reset")

    parties = _attribute("parties", "How many it takes to pass.")
    n_waiting = _attribute("n_waiting", "How many wait.")
    broken = _attribute("broken", "Whether it is broken.")

    @_asked
    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the other parties; returns this one's number.

        Raises:
            threading.BrokenBarrierError: It is broken, or breaks meanwhile.
        """

    @_asked
    def abort(self) -> Any:
        """Break it.

        Raises: As a proxy's every call, where the server is gone.
        """

    @_asked
    def reset(self) -> Any:
        """Make it whole; those that wait get BrokenBarrierError.

        Raises: As abort().
        """


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


if TYPE_CHECKING:
    from forkful._managers.shapes import (
        ArrayProxy,
        BaseListProxy,
        BasePoolProxy,
        DictProxy,
        ListProxy,
        PoolProxy,
        SetProxy,
        ValueProxy,
    )
else:

    class ValueProxy(BaseProxy):
        """A value that the server keeps."""

        _exposed_ = ("get", "set")
        __class_getitem__ = classmethod(types.GenericAlias)

        @_asked
        def get(self) -> Any:
            """A copy of the value.

            Raises: As a proxy's every call, where the server is gone.
            """

        @_asked
        def set(self, value: Any) -> Any:
            """Replace the value.

            Raises:
                Exception: What pickling it raises.
            """

        value = property(get, set)

    ArrayProxy = MakeProxyType("ArrayProxy", ("__len__", "__getitem__", "__setitem__"))

    # --- containers ---

    BaseListProxy = MakeProxyType(
        "BaseListProxy",
        "__add__ __contains__ __delitem__ __getitem__ __len__ __mul__ __reversed__ __rmul__ "
        "__setitem__ append clear copy count extend index insert pop remove reverse sort "
        "__imul__".split(),
    )

    class ListProxy(BaseListProxy):
        """A list of the server."""

        __class_getitem__ = classmethod(types.GenericAlias)
        __iadd__ = _in_place("extend")
        __imul__ = _in_place("__imul__")

    _BaseDictProxy = MakeProxyType(
        "DictProxy",
        "__contains__ __delitem__ __getitem__ __ior__ __iter__ __len__ __or__ __reversed__ "
        "__ror__ __setitem__ clear copy fromkeys get items keys pop popitem setdefault "
        "update values".split(),
    )

    class DictProxy(_BaseDictProxy):
        """A dict of the server."""

        _method_to_typeid_ = {"__iter__": "Iterator", "__reversed__": "Iterator"}

        __class_getitem__ = classmethod(types.GenericAlias)
        __ior__ = _in_place("update")

    _BaseSetProxy = MakeProxyType(
        "_BaseSetProxy",
        "__and__ __contains__ __ge__ __gt__ __iand__ __ior__ __isub__ __iter__ __ixor__ __le__ "
        "__len__ __lt__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ "
        "add clear copy difference difference_update discard intersection intersection_update "
        "isdisjoint issubset issuperset pop remove symmetric_difference "
        "symmetric_difference_update union update".split(),
    )

    class SetProxy(_BaseSetProxy):
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

        __class_getitem__ = classmethod(types.GenericAlias)

    # --- pools ---

    BasePoolProxy = MakeProxyType(
        "PoolProxy",
        "apply apply_async close imap imap_unordered join map map_async starmap starmap_async "
        "terminate".split(),
    )

    class PoolProxy(BasePoolProxy):
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
