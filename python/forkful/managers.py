"""Managers and their proxies: objects in a server process, which others call.

What each consists of is in _managers/: a file for the messages, for the connections that they go
by, for the server, for the managers, and for the proxies.
"""

from __future__ import annotations

from forkful._errors import ProcessError as ProcessError
from forkful._managers import base, contents, memory, messages, proxies, proxy, server, sync, wire

__all__ = [
    "BaseManager",
    "BaseProxy",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
]

BaseManager = base.BaseManager
SyncManager = sync.SyncManager
Manager = sync.Manager
SharedMemoryManager = memory.SharedMemoryManager
Server = server.Server
SharedMemoryServer = memory.SharedMemoryServer
State = messages.State
Token = messages.Token

RemoteError = messages.RemoteError
all_methods = messages.all_methods
convert_to_error = messages.convert_to_error
dispatch = messages.dispatch
listener_client = wire.listener_client
public_methods = messages.public_methods

BaseProxy = proxy.BaseProxy
AutoProxy = proxy.AutoProxy
MakeProxyType = proxy.MakeProxyType
RebuildProxy = proxy.RebuildProxy

AcquirerProxy = proxies.AcquirerProxy
ArrayProxy = proxies.ArrayProxy
BarrierProxy = proxies.BarrierProxy
BaseListProxy = proxies.BaseListProxy
BasePoolProxy = proxies.BasePoolProxy
ConditionProxy = proxies.ConditionProxy
DictProxy = proxies.DictProxy
EventProxy = proxies.EventProxy
IteratorProxy = proxies.IteratorProxy
ListProxy = proxies.ListProxy
NamespaceProxy = proxies.NamespaceProxy
PoolProxy = proxies.PoolProxy
SetProxy = proxies.SetProxy
ValueProxy = proxies.ValueProxy

Array = contents.Array
Namespace = contents.Namespace
Value = contents.Value

reduce_array = contents.reduce_array
rebuild_as_list = contents.rebuild_as_list

HAS_SHMEM = True

# Pickles name them by this module, which a stock process at the other end of a connection has too.
for _each in list(globals().values()):
    if getattr(_each, "__module__", "").startswith("forkful._managers."):
        _each.__module__ = __name__
