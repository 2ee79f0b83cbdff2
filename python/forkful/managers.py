"""Managers and their proxies."""

from __future__ import annotations

from forkful import _later

__all__ = [
    "BaseManager",
    "BaseProxy",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
]


class RemoteError(Exception):
    """What a manager's process could not do; nothing raises it yet."""


AcquirerProxy = _later.kind("AcquirerProxy")
ArrayProxy = _later.kind("ArrayProxy")
AutoProxy = _later.call("AutoProxy")
BarrierProxy = _later.kind("BarrierProxy")
BaseListProxy = _later.kind("BaseListProxy")
BaseManager = _later.kind("BaseManager")
BaseProxy = _later.kind("BaseProxy")
ConditionProxy = _later.kind("ConditionProxy")
DictProxy = _later.kind("DictProxy")
EventProxy = _later.kind("EventProxy")
IteratorProxy = _later.kind("IteratorProxy")
ListProxy = _later.kind("ListProxy")
MakeProxyType = _later.call("MakeProxyType")
Namespace = _later.kind("Namespace")
NamespaceProxy = _later.kind("NamespaceProxy")
PoolProxy = _later.kind("PoolProxy")
Server = _later.kind("Server")
SharedMemoryManager = _later.kind("SharedMemoryManager")
SyncManager = _later.kind("SyncManager")
Token = _later.kind("Token")
ValueProxy = _later.kind("ValueProxy")
