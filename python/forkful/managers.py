"""Managers and their proxies."""

from __future__ import annotations

from forkful import later

__all__ = [
    "BaseManager",
    "BaseProxy",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
]


class RemoteError(Exception):
    """What a manager's process could not do; nothing raises it yet."""


AcquirerProxy = later.kind("AcquirerProxy")
ArrayProxy = later.kind("ArrayProxy")
AutoProxy = later.call("AutoProxy")
BarrierProxy = later.kind("BarrierProxy")
BaseListProxy = later.kind("BaseListProxy")
BaseManager = later.kind("BaseManager")
BaseProxy = later.kind("BaseProxy")
ConditionProxy = later.kind("ConditionProxy")
DictProxy = later.kind("DictProxy")
EventProxy = later.kind("EventProxy")
IteratorProxy = later.kind("IteratorProxy")
ListProxy = later.kind("ListProxy")
MakeProxyType = later.call("MakeProxyType")
Namespace = later.kind("Namespace")
NamespaceProxy = later.kind("NamespaceProxy")
PoolProxy = later.kind("PoolProxy")
Server = later.kind("Server")
SharedMemoryManager = later.kind("SharedMemoryManager")
SyncManager = later.kind("SyncManager")
Token = later.kind("Token")
ValueProxy = later.kind("ValueProxy")
