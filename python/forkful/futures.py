"""ProcessPoolExecutor, under the names of concurrent.futures.process."""

from __future__ import annotations

from concurrent.futures._base import BrokenExecutor

from forkful import later

__all__ = ["BrokenProcessPool", "ProcessPoolExecutor", "WorkerDied"]


class BrokenProcessPool(BrokenExecutor):
    """A pool cannot go on."""


class WorkerDied(BrokenProcessPool):
    """The worker that ran this task is gone; the pool has replaced it and lives on.

    Attributes:
        pid: Process id of the worker.
        signal: The signal that killed it, or None.
        exitcode: Its exit code; negative for a signal.
        task: Index of the item in its map, 0 for a single call.
    """

    def __init__(self, message: str, pid: int = 0, exitcode: int = 0, task: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode
        self.signal = -exitcode if exitcode < 0 else None
        self.task = task

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.pid, self.exitcode, self.task)


ProcessPoolExecutor = later.kind("ProcessPoolExecutor")
