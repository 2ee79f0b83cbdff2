"""What stands behind the proxies of a SyncManager, by typeid.

TYPES is the one place where that is decided: proxies, servers and managers know of no type in
particular. A type that needs no server has `native`: what it makes and returns, in the caller's
process, takes the place of a proxy there, while the rest of its entry is for remote clients.
"""

from __future__ import annotations

import array
import queue
import threading
from collections.abc import Callable

from forkful import pool, reduction
from forkful._managers import proxies

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Array", "Content", "Namespace", "TYPES", "Value", "rebuild_as_list", "reduce_array"]


def reduce_array(a: array.array[Any]) -> tuple[Any, ...]:
    """How an array is pickled."""
    return array.array, (a.typecode, a.tobytes())


def rebuild_as_list(obj: Any) -> tuple[Any, ...]:
    """How a view of a dict is pickled: as a list."""
    return list, (list(obj),)


# What methods of arrays and dicts return; a view arrives as a list.
reduction.register(array.array, reduce_array)
_none: dict[Any, Any] = {}
for _kind in (type(_none.keys()), type(_none.values()), type(_none.items())):
    reduction.register(_kind, rebuild_as_list)


class Namespace:
    """An object whose attributes are what it is given.

    Args:
        kwds: The first attributes.
    """

    def __init__(self, /, **kwds: Any) -> None:
        self.__dict__.update(kwds)

    def __repr__(self) -> str:
        public = sorted(
            f"{name}={value!r}"
            for name, value in list(self.__dict__.items())
            if not name.startswith("_")
        )
        return f"{type(self).__name__}({', '.join(public)})"


class Value:
    """A value that can be got and set, of any type.

    Args:
        typecode: Only shown.
        value: The first value.
        lock: Has no effect: one call at a time is whole anyway.
    """

    def __init__(self, typecode: Any, value: Any, lock: Any = True) -> None:
        self._value, self._typecode = value, typecode

    def set(self, value: Any) -> None:
        """Replace the value."""
        self._value = value

    def get(self) -> Any:
        """The value."""
        return self._value

    value = property(get, set)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._typecode!r}, {self._value!r})"


def Array(typecode: str, sequence: Iterable[Any], lock: Any = True) -> array.array[Any]:
    """An array.array; `lock` has no effect.

    Raises:
        TypeError, ValueError, OverflowError: What array.array() raises.
    """
    return array.array(typecode, sequence)


class Content:
    """A type that a SyncManager offers.

    Args:
        typeid: Its name, and that of the manager's method.
        make: Makes the object, in the server; None: the server has it from another object's method.
        proxytype: What calls it; None: an AutoProxy.
        is_made: Whether the manager has a method that makes one.
        native: The manager's method in place of that, where the type needs no server.
    """

    def __init__(
        self,
        typeid: str,
        make: Callable[..., Any] | None = None,
        proxytype: Any = None,
        is_made: bool = True,
        native: Callable[..., Any] | None = None,
    ) -> None:
        self.typeid = typeid
        self.make = make
        self.proxytype = proxytype
        self.is_made = is_made
        self.native = native


TYPES = (
    Content("list", list, proxies.ListProxy),
    Content("dict", dict, proxies.DictProxy),
    Content("set", set, proxies.SetProxy),
    Content("Namespace", Namespace, proxies.NamespaceProxy),
    Content("Value", Value, proxies.ValueProxy),
    Content("Array", Array, proxies.ArrayProxy),
    Content("Queue", queue.Queue),
    Content("JoinableQueue", queue.Queue),
    Content("Event", threading.Event, proxies.EventProxy),
    Content("Lock", threading.Lock, proxies.AcquirerProxy),
    Content("RLock", threading.RLock, proxies.AcquirerProxy),
    Content("Semaphore", threading.Semaphore, proxies.AcquirerProxy),
    Content("BoundedSemaphore", threading.BoundedSemaphore, proxies.AcquirerProxy),
    Content("Condition", threading.Condition, proxies.ConditionProxy),
    Content("Barrier", threading.Barrier, proxies.BarrierProxy),
    Content("Pool", pool.Pool, proxies.PoolProxy),
    # What methods of others return, and so nobody makes.
    Content("Iterator", None, proxies.IteratorProxy, is_made=False),
    Content("AsyncResult", None, None, is_made=False),
)
