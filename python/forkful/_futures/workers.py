"""The processes of an executor, and what their deaths mean for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from forkful import _core, _errors
from forkful._futures.mapping import Feed
from forkful._futures.worker import work
from forkful._pool.supervise import Workers

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful.context import BaseContext
    from forkful.process import BaseProcess

__all__ = ["ExecutorWorkers"]

_ABRUPT = (
    "A process in the process pool was terminated abruptly while the future was running or pending"
)


class ExecutorWorkers(Workers):
    """The processes of an executor by slot, as the engine's owner of the pool asks for them.

    Args:
        isolates: A worker that dies costs the call that it ran, and is replaced.
        processes: Is kept up to date: the processes by their pid.
    """

    def __init__(
        self,
        context: BaseContext,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        most_tasks: int | None,
        isolates: bool,
        processes: dict[int, BaseProcess],
    ) -> None:
        super().__init__(context, initializer, initargs, most_tasks)
        self.feeds: weakref.WeakSet[Feed] = weakref.WeakSet()  # of maps whose input is bounded
        self.isolates = isolates
        self.processes = processes

    def _make(self, core: _core.PoolClient, slot: int) -> BaseProcess:
        # No daemon: a task may ask for that, to know whether it may have children.
        return self._context.Process(
            target=work, args=(core.handle, slot, *self._plan), daemon=False
        )

    def start(self, core: _core.PoolClient, slot: int) -> int:
        pid = super().start(core, slot)
        self._note(slot)
        return pid

    def adopt(self, slot: int, pid: int, member: int) -> None:
        super().adopt(slot, pid, member)
        self._note(slot)

    def _note(self, slot: int) -> None:
        worker = self._by_slot[slot]
        if (pid := worker.pid) is not None:
            self.processes[pid] = worker

    def give_back(self, slot: int) -> None:
        worker = self._by_slot.get(slot)
        super().give_back(slot)
        # Programs go through them to end each. Those of an executor that breaks by that stay.
        replaced = self.isolates or self._plan[3] is not None
        if replaced and worker is not None and worker.pid is not None:
            self.processes.pop(worker.pid, None)

    def give_up(self, text: str | None, pid: int) -> BaseException | None:
        if self.isolates or text is None or pid == 0:
            return super().give_up(text, pid)
        for feed in list(self.feeds):
            feed.stop()
        if self._untold is not None and self._untold.was_said():
            text += (
                "; the initializer raises: its traceback is in the log of concurrent.futures, "
                "which is on stderr by default"
            )
        return _errors.BrokenProcessPool(f"{_ABRUPT}: {text}")

    def note_unread(self, core: _core.PoolClient, error: BaseException) -> BaseException:
        """A task could not be read by its worker, or its result here.

        Returns: What its future gets.
        """
        if self.isolates:
            return error
        broken = _errors.BrokenProcessPool(
            f"A task, or the result of one, could not be unpickled ({error!r}), and the executor "
            "is broken by that"
        )
        broken.__cause__ = error
        for remedy in getattr(error, "__notes__", ()):
            broken.add_note(remedy)
        core.break_with(broken)
        return broken
