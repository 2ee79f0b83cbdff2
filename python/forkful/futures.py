"""ProcessPoolExecutor, under the names of concurrent.futures.process."""

from __future__ import annotations

from forkful import _errors, _later
from forkful._errors import BrokenProcessPool, WorkerDied

__all__ = ["BrokenProcessPool", "ProcessPoolExecutor", "WorkerDied"]

_errors.note_executors()

ProcessPoolExecutor = _later.kind("ProcessPoolExecutor")
