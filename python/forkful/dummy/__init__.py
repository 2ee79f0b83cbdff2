"""The names of the package on threads."""

from __future__ import annotations

from forkful import _later

__all__ = ["Pool", "Process"]

Pool = _later.call("dummy.Pool")
Process = _later.kind("dummy.Process")
