"""ProcessPoolExecutor, under the names of concurrent.futures.process."""

from __future__ import annotations

from forkful import later
from forkful.errors import BrokenProcessPool

__all__ = ["BrokenProcessPool", "ProcessPoolExecutor"]

ProcessPoolExecutor = later.kind("ProcessPoolExecutor")
