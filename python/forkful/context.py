"""Contexts: the names of the package, for one start method."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from forkful import _core, later, process, util
from forkful.errors import AuthenticationError, BufferTooShort, ProcessError, TimeoutError

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ProcessError",
    "TimeoutError",
    "get_spawning_popen",
    "set_spawning_popen",
]


class Process(process.BaseProcess):
    """A child process, started by the default start method."""

    _start_method = None


class ForkProcess(process.BaseProcess):
    """A child process, started by fork."""

    _start_method = "fork"


class BaseContext:
    """What multiprocessing offers, bound to a start method."""

    ProcessError = ProcessError
    BufferTooShort = BufferTooShort
    TimeoutError = TimeoutError
    AuthenticationError = AuthenticationError

    current_process = staticmethod(process.current_process)
    parent_process = staticmethod(process.parent_process)
    active_children = staticmethod(process.active_children)

    Process: Any = Process

    def cpu_count(self) -> int:
        """The CPUs that this process may use: its affinity, within the cgroup's quota."""
        return int(_core.cpu_count())

    def Lock(self, *, policy: str = "raise") -> Any:
        """A lock between processes: `with lock: …`, or acquire(timeout=seconds).

        A waiter whose lock's owner has died gets LockOwnerDied, and does not hold the lock; it
        calls recover() to have it. policy="recover" hands it over, "block" waits for ever.
        """
        from forkful.synchronize import Lock

        return Lock(ctx=self.get_context(), policy=policy)

    def RLock(self, *, policy: str = "raise") -> Any:
        """A lock that its thread may acquire again."""
        from forkful.synchronize import RLock

        return RLock(ctx=self.get_context(), policy=policy)

    def Semaphore(self, value: int = 1) -> Any:
        """A counter of permits."""
        from forkful.synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value: int = 1) -> Any:
        """A counter of permits with a maximum."""
        from forkful.synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self) -> Any:
        """A flag to wait for: set(), clear(), is_set(), wait(timeout=None).

        wait() returns whether the flag is set; False means that `timeout` seconds have passed.
        """
        from forkful.synchronize import Event

        return Event(ctx=self.get_context())

    def Queue(self, maxsize: int = 0, *, strict: bool = False) -> Any:
        """A queue for any number of senders and receivers; see forkful.queues.Queue.

        put() has the item in the queue when it returns. get() waits for one; with a timeout, in
        seconds, it raises queue.Empty, and put() queue.Full, with nothing changed.

        Args:
            maxsize: The most items at a time; 0: as many as memory allows.
            strict: put() raises for an object that cannot be pickled, instead of printing that.
        """
        from forkful.queues import Queue

        return Queue(maxsize, ctx=self.get_context(), strict=strict)

    def SimpleQueue(self) -> Any:
        """A queue with put() and get() only."""
        from forkful.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """A number that processes share: .value, and `with number.get_lock():` to change it.

        Args:
            typecode_or_type: "i" (int), "d" (double), … as in the array module, or a ctypes type.
            args: The initial value, by default 0.
            lock: True: a new RLock. False: none. Or the lock to use.
        """
        from forkful.sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:
        """A shared number without a lock."""
        from forkful.sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def Pool(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """A pool of worker processes; help(forkful.pool.Pool) has its methods.

            with forkful.Pool(4) as pool:
                print(pool.map(square, range(10)))

        map(), starmap() and apply() wait for their results, the ones with _async return an
        AsyncResult, imap() and imap_unordered() an iterator. What a function raises, its caller
        gets. Where a worker is killed, its item raises WorkerDied and all others are run; where
        workers die at their start again and again, calls raise BrokenProcessPool.

        Args:
            processes: How many; by default as many as there are CPUs for this process.
            initializer: Called in each worker before its first task, with `initargs`.
            maxtasksperchild: Replace a worker after so many tasks (chunks).
        """
        from forkful.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    Manager = staticmethod(later.call("Manager"))
    Pipe = staticmethod(later.call("Pipe"))
    Condition = staticmethod(later.call("Condition"))
    Barrier = staticmethod(later.call("Barrier"))
    JoinableQueue = staticmethod(later.call("JoinableQueue"))
    Array = staticmethod(later.call("Array"))
    RawArray = staticmethod(later.call("RawArray"))
    set_forkserver_preload = staticmethod(later.call("set_forkserver_preload"))

    def freeze_support(self) -> None:
        """Nothing to do: that is for frozen programs on Windows."""

    def allow_connection_pickling(self) -> None:
        """Nothing to do: connections can be sent anyway."""

    def get_logger(self) -> Any:
        """The logger of the family's processes."""
        return util.get_logger()

    def log_to_stderr(self, level: int | str | None = None) -> Any:
        """The logger, writing to stderr."""
        return util.log_to_stderr(level)

    def set_executable(self, executable: str | bytes) -> None:
        """The interpreter that spawned children run."""
        global _executable
        _executable = executable

    def get_context(self, method: str | None = None) -> Any:
        """The context of a start method, or this one."""
        if method is None:
            return self
        try:
            return _contexts[method]
        except KeyError:
            raise ValueError(
                f"cannot find context for {method!r}: what there is, is "
                f"{', '.join(default_context.get_all_start_methods())}"
            ) from None

    def get_start_method(self, allow_none: bool = False) -> str | None:
        """How this context starts processes."""
        return self._name

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Only the default context's start method can be set."""
        raise ValueError("cannot set start method of concrete context: set it on the package")

    @property
    def reducer(self) -> Any:
        """The module that pickles."""
        from forkful import reduction

        return reduction

    _name: str | None = None
    _is_there = True
    _refuse: Callable[[], Any]  # where it is not there


class ForkContext(BaseContext):
    """Children are forked."""

    _name = "fork"
    Process = ForkProcess


class SpawnContext(BaseContext):
    """Children begin as new interpreters."""

    _name = "spawn"
    _is_there = False
    Process = later.kind("Process under the start method 'spawn'", instead="'fork' is there")
    Pool = staticmethod(
        later.call("Pool under the start method 'spawn'", instead="'fork' is there")
    )
    _refuse = staticmethod(later.call("start method 'spawn'", instead="'fork' is there"))


class ForkServerContext(BaseContext):
    """Children are forked by a server process."""

    _name = "forkserver"
    _is_there = False
    Process = later.kind("Process under the start method 'forkserver'", instead="'fork' is there")
    Pool = staticmethod(
        later.call("Pool under the start method 'forkserver'", instead="'fork' is there")
    )
    _refuse = staticmethod(later.call("start method 'forkserver'", instead="'fork' is there"))


class DefaultContext(BaseContext):
    """The context behind the package's own names."""

    def __init__(self) -> None:
        self._actual: BaseContext | None = None

    def get_context(self, method: str | None = None) -> Any:
        """The context of a start method, by default the one that is set."""
        if method is not None:
            return super().get_context(method)
        if self._actual is None:
            self._actual = _contexts["fork"]
        return self._actual

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set how processes start. Once, unless forced.

        Raises:
            RuntimeError: It was set before.
            NotImplementedError: forkful cannot start processes in that way yet.
        """
        wanted = _contexts.get(method) if method is not None else None
        if wanted is not None and not wanted._is_there:
            wanted._refuse()  # to force it would not help
        if self._actual is not None and not force:
            raise RuntimeError("context has already been set: give force=True to set it again")
        self._actual = self.get_context(method) if method is not None else None

    def get_start_method(self, allow_none: bool = False) -> str | None:
        """How processes start; with allow_none, None while that is open."""
        if self._actual is None and allow_none:
            return None
        return str(self.get_context()._name)

    def get_all_start_methods(self) -> list[str]:
        """The start methods that work, the default first."""
        return [name for name, context in _contexts.items() if context._is_there]


_executable: str | bytes = os.fsencode(sys.executable) if sys.executable else b""
_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
default_context = DefaultContext()

_this_thread = threading.local()


def get_spawning_popen() -> Any:
    """The child that is being started by this thread, while it is pickled."""
    return getattr(_this_thread, "spawning", None)


def set_spawning_popen(popen: Any) -> None:
    """Say which child this thread is starting."""
    _this_thread.spawning = popen


def assert_spawning(obj: Any) -> None:
    """Nothing to assert: the family's objects can be sent at any time."""
