"""The processes of a pool: started, replaced and ended as the engine's owner of the pool asks.

The rules are the engine's, the same as in C++ (include/forkful/bytes/pool_owner.hpp); here is what
they need of Python.
"""

from __future__ import annotations

import _weakref
from _collections_abc import Callable
from _weakrefset import WeakSet

from forkful import _core, _errors, _log, process
from forkful._child.untold import Untold
from forkful._pool.inputs import Input
from forkful._pool.worker import work
from forkful.popen_fork import Popen

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful.context import BaseContext
    from forkful.process import BaseProcess

__all__ = ["Backlog", "WorkerMaker", "Workers"]


class Backlog:
    """A pool's calls that have no result yet, as programs look at its queues."""

    def __init__(self, core: _core.PoolClient) -> None:
        self._core = core

    def qsize(self) -> int:
        return self._core.unfinished()

    _qsize = qsize

    def empty(self) -> bool:
        return self.qsize() == 0


class WorkerMaker:
    """Makes a pool's workers by its Process(), which a subclass may have overridden.

    Holds no reference to the pool, which has to be able to die.
    """

    def __init__(self, pool: Any, context: BaseContext) -> None:
        self._pool = _weakref.ref(pool)
        self._process = type(pool).Process
        self._context = context

    def Process(self, *args: Any, **kwds: Any) -> BaseProcess:
        if isinstance(self._process, type):
            # A subclass has put a class there: it is called as a context's.
            made: BaseProcess = self._process(*args, **kwds)
            return made
        pool = self._pool()
        process = self._process if pool is None else pool.Process
        return process(self._context, *args, **kwds)  # type: ignore[no-any-return]

    def get_context(self) -> BaseContext:
        return self._context


class Workers:
    """The processes of a pool by slot, as the engine's owner of the pool asks for them."""

    def __init__(
        self,
        context: BaseContext | WorkerMaker,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        maxtasks: int | None,
    ) -> None:
        self.all: list[BaseProcess] = []
        # A pool that has ended shows its last workers: so many, and of these those that have ended.
        self.shown = 0
        self._left: list[BaseProcess] = []
        self.inputs: WeakSet[Input] = WeakSet()
        self._context = context
        self._untold = Untold() if initializer is not None else None
        self._plan = (initializer, initargs, self._untold, maxtasks)
        self._by_slot: dict[int, BaseProcess] = {}
        self._method = context.get_context().get_start_method()
        self._untold_main = Untold() if self._method != "fork" else None

    def start(self, core: _core.PoolClient, slot: int) -> int:
        """Start a process that works in this slot, and return its pid."""
        worker = self._make(core, slot)
        worker._pool_worker = True
        self._by_slot[slot] = worker
        if self._method != "fork":
            from forkful import spawn

            core.main_by_value = not spawn.has_main_in_children()
            vars(worker)["_untold"] = self._untold_main
        worker.start()
        self.all.append(worker)
        self._forget()
        _log.debug("added worker")
        return worker._started().pid

    def _forget(self) -> None:
        """Of the workers that have ended, the first ones, as far as they are not shown."""
        while self._left and len(self.all) > self.shown:
            self.all.remove(self._left.pop(0))

    def _make(self, core: _core.PoolClient, slot: int) -> BaseProcess:
        worker = self._context.Process(target=work, args=(core.handle, slot, *self._plan))
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = True
        return worker

    def adopt(self, slot: int, pid: int, member: int) -> None:
        """After start() was left by an exception after its fork: the worker is known all the same.

        May itself be left so, and is called again then.
        """
        worker = self._by_slot[slot]
        worker._set_started(worker._popen or Popen.adopt(pid, member))
        if worker not in self.all:
            self.all.append(worker)

    def ended(self, slot: int) -> int | None:
        """The exit code; None while it runs, and where another thread has just given it back.

        Touches no lock of the family.
        """
        worker = self._by_slot.get(slot)
        return worker._started().ended() if worker is not None else None

    def send_signal(self, slot: int, number: int) -> None:
        worker = self._by_slot.get(slot)
        if worker is not None:
            worker._started().send_signal(number)

    def name(self, slot: int) -> str:
        return self._by_slot[slot].name

    def give_back(self, slot: int) -> None:
        """Its process has ended, and everything of it that counts was saved.

        As adopt(), it is called again where an exception has left it.
        """
        worker = self._by_slot.get(slot)
        if worker is None:
            return
        worker._started().poll()
        if worker in self.all and worker not in self._left:
            self._left.append(worker)
            self._forget()
            process._children.discard(worker)
            _log.debug("cleaning up worker %d", slot)
        del self._by_slot[slot]

    def make_error(self, text: str, pid: int, code: int, item: int, late: bool) -> BaseException:
        """Why an item has no result."""
        if late:
            return _errors.TimeoutError(text)
        return _errors.WorkerDied(text, pid, code, item)

    def give_up(self, text: str | None, pid: int) -> BaseException | None:
        """No worker is started any more; why, unless the last start has said so.

        Args:
            pid: The last of those that died at their start; 0: it is not for such deaths.
        """
        for source in list(self.inputs):
            source.stop()
        if text is None:
            return None
        if pid != 0:
            text += f": {self._why_none_begins()}"
        return _errors.BrokenProcessPool(text)

    def _why_none_begins(self) -> str:
        if self._untold is None and self._method != "fork":
            return (
                "each runs the main module before its first task, and what that raises first is on "
                "stderr; what starts processes has to be under `if __name__ == '__main__':`"
            )
        if self._untold is None:
            return "none came to its first task, and there is no initializer: what ends them?"
        if self._untold.was_said():
            return "the pool's initializer raises; the first traceback is on stderr"
        return (
            "the pool's initializer does not come to its end, and raises nothing: "
            "it calls sys.exit() or os._exit(), crashes, or is killed"
        )
