"""ProcessPoolExecutor, under the names of concurrent.futures.process."""

from __future__ import annotations

from forkful import errors, later
from forkful.errors import BrokenProcessPool, WorkerDied

__all__ = ["BrokenProcessPool", "ProcessPoolExecutor", "WorkerDied"]

errors.note_executors()

ProcessPoolExecutor = later.kind("ProcessPoolExecutor")
