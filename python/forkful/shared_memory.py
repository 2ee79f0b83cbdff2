"""Named shared memory."""

from __future__ import annotations

from forkful import later

__all__ = [
    "ShareableList",
    "SharedMemory",
]

ShareableList = later.kind("ShareableList")
SharedMemory = later.kind("SharedMemory")
