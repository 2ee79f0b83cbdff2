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

BaseManager = later.kind("BaseManager")
BaseProxy = later.kind("BaseProxy")
SharedMemoryManager = later.kind("SharedMemoryManager")
SyncManager = later.kind("SyncManager")
Token = later.kind("Token")
