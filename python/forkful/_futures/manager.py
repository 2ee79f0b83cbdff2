"""The thread of an executor: it runs its futures' callbacks, and ends it."""

from __future__ import annotations

import threading
import weakref

from forkful import _core, _errors, _finalize

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._futures.workers import ExecutorWorkers

__all__ = ["ExecutorManagerThread", "ThreadWakeup", "exiting", "leave_all", "wakeups"]


class ThreadWakeup:
    """Has an executor's thread look whether there is something to do."""

    def __init__(self) -> None:
        self._core: _core.PoolClient | None = None

    def wakeup(self) -> None:
        # May be called by the garbage collector, at any moment and in any thread.
        core = self._core
        if core is not None:
            core.wake()

    def clear(self) -> None:
        """The thread has looked."""

    def close(self) -> None:
        """There is no thread any more."""
        self._core = None


# The executors that are at work, by their threads.
wakeups: weakref.WeakKeyDictionary[threading.Thread, ThreadWakeup] = weakref.WeakKeyDictionary()
_exiting = False


def exiting() -> bool:
    """Whether the interpreter is on its way out."""
    return _exiting


def leave_all() -> None:
    """At the interpreter's end: finish what is pending, and end every executor."""
    global _exiting
    _exiting = True
    threads = list(wakeups.items())
    for _, wakeup in threads:
        wakeup.wakeup()
    for thread, _ in threads:
        # One that another thread is about to start sees that this is the end; it is never started
        # in a child that was forked in between.
        if thread.ident is not None:
            thread.join()


def _leave(wakeup: ThreadWakeup, thread: weakref.ref[ExecutorManagerThread]) -> None:
    # In a child, whose finalizers run before threading's end, and which waits for its children.
    manager = thread()
    if manager is not None:
        manager.ends = True
        wakeup.wakeup()
        manager.join()


class ExecutorManagerThread(threading.Thread):
    """Lives from an executor's first call until its workers have ended.

    It has no reference to the executor: one that a program drops finishes its calls, and ends.

    Args:
        executor: Whose it is.
        core: Its pool.
        wakeup: By which it is told to look.
    """

    def __init__(
        self,
        executor: Any,
        core: _core.PoolClient,
        workers: ExecutorWorkers,
        wakeup: ThreadWakeup,
    ) -> None:
        super().__init__(name="forkful-executor")
        wakeup._core = core
        self.thread_wakeup = wakeup
        self.ends = False
        self._core = core
        self._workers = workers
        self.executor_reference = weakref.ref(executor, lambda _: wakeup.wakeup())
        self._at_exit = _finalize.Finalize(
            self, _leave, (wakeup, weakref.ref(self)), exitpriority=15
        )

    def run(self) -> None:
        core = self._core
        try:
            while core.broken is None and not self._is_to_end():
                core.serve()
                self.thread_wakeup.clear()
            core.close()
            for source in list(self._workers.feeds):
                source.stop()
            self._finish()
            if core.broken is not None:
                core.terminate(core.broken, False)
            core.join()
        finally:
            self._at_exit.cancel()
            self.thread_wakeup.close()
            wakeups.pop(self, None)

    def _is_to_end(self) -> bool:
        return self.ends or _exiting or self.executor_reference() is None

    def _finish(self) -> None:
        """Wait until every call has its result, and run callbacks meanwhile."""
        core = self._core
        while True:
            try:
                return core.finish()
            except BaseException as error:
                # What keeps workers from being started, say: then nothing is run any more.
                broken = _errors.BrokenProcessPool(f"the executor cannot go on: {error!r}")
                broken.__cause__ = error
                core.break_with(broken)
