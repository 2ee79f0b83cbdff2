"""SyncManager: the manager of Manager()."""

from __future__ import annotations

from forkful._managers.base import BaseManager
from forkful._managers.contents import TYPES
from forkful._managers.proxy import default_proxytypes

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._managers.shapes import TypedManager
else:
    TypedManager = BaseManager

__all__ = ["Manager", "SyncManager"]


class SyncManager(TypedManager):
    """A manager of dicts, lists, queues, locks and the like; see BaseManager.

    A value that is read is a copy: `d[key].append(x)` changes nothing, unless what d[key] is was
    made by the manager as well.
    """


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
