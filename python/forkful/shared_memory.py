"""Named shared memory."""

from __future__ import annotations

from forkful import _later

__all__ = [
    "ShareableList",
    "SharedMemory",
]

ShareableList = _later.kind("ShareableList")
SharedMemory = _later.kind("SharedMemory")
