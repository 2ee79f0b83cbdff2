"""The names of the package on threads."""

from __future__ import annotations

from forkful import later

__all__ = ["Pool", "Process"]

Pool = later.call("dummy.Pool")
Process = later.kind("dummy.Process")
