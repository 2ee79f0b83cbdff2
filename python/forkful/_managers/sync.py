"""SyncManager: the manager of Manager()."""

from __future__ import annotations

from forkful._managers.base import BaseManager
from forkful._managers.contents import TYPES
from forkful._managers.proxy import default_proxytypes

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from forkful._managers import proxies

__all__ = ["Manager", "SyncManager"]


class SyncManager(BaseManager):
    """A manager of dicts, lists, queues, locks and the like; see BaseManager.

    A value that is read is a copy: `d[key].append(x)` changes nothing, unless what d[key] is was
    made by the manager as well.
    """

    if TYPE_CHECKING:

        def dict(self, *args: Any, **kwds: Any) -> proxies.DictProxy: ...
        def list(self, sequence: Iterable[Any] = ...) -> proxies.ListProxy: ...
        def set(self, sequence: Iterable[Any] = ...) -> proxies.SetProxy: ...
        def Namespace(self, **kwds: Any) -> proxies.NamespaceProxy: ...
        def Value(self, typecode: Any, value: Any, lock: Any = ...) -> proxies.ValueProxy: ...
        def Array(self, typecode: str, sequence: Iterable[Any], lock: Any = ...) -> Any: ...
        def Queue(self, maxsize: int = ...) -> Any: ...
        def JoinableQueue(self, maxsize: int = ...) -> Any: ...
        def Event(self) -> proxies.EventProxy: ...
        def Lock(self) -> proxies.AcquirerProxy: ...
        def RLock(self) -> proxies.AcquirerProxy: ...
        def Semaphore(self, value: int = ...) -> proxies.AcquirerProxy: ...
        def BoundedSemaphore(self, value: int = ...) -> proxies.AcquirerProxy: ...
        def Condition(self, lock: Any = ...) -> proxies.ConditionProxy: ...
        def Barrier(
            self,
            parties: int,
            action: Callable[[], object] | None = ...,
            timeout: float | None = ...,
        ) -> proxies.BarrierProxy: ...
        def Pool(
            self,
            processes: int | None = ...,
            initializer: Callable[..., object] | None = ...,
            initargs: Iterable[Any] = ...,
            maxtasksperchild: int | None = ...,
            context: Any = ...,
        ) -> proxies.PoolProxy: ...


for _each in TYPES:
    SyncManager.register(_each.typeid, _each.make, _each.proxytype, create_method=_each.is_made)
    if _each.native is not None:
        setattr(SyncManager, _each.typeid, _each.native)
    if _each.proxytype is not None:
        default_proxytypes[_each.typeid] = _each.proxytype


def Manager(*, ctx: Any = None) -> SyncManager:
    """A SyncManager whose server runs; the context's Manager()."""
    manager = SyncManager(ctx=ctx)
    manager.start()
    return manager
