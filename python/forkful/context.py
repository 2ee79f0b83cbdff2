"""Contexts: the names of the package, for one start method."""

# A factory is declared by its signature and its docstring, and has no body.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import sys

from forkful import _core, _log, _starting, popen_fork, process
from forkful._errors import AuthenticationError, BufferTooShort, ProcessError, TimeoutError

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from forkful import connection, managers, pool, queues, synchronize
    from forkful._types import ArrayFactory, RawArrayFactory, RawValueFactory, ValueFactory

    _F = TypeVar("_F", bound=Callable[..., Any])

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

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> popen_fork.Popen:
        return default_context.get_context().Process._Popen(process_obj)


class ForkProcess(process.BaseProcess):
    """A child process, started by fork."""

    _start_method = "fork"

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> popen_fork.Popen:
        return popen_fork.Popen(process_obj)


def _popen_of(module: str, process_obj: process.BaseProcess) -> popen_fork.Popen:
    # Looked up at each start, as programs put a class of their own there.
    popen = getattr(__import__(module, fromlist=("Popen",)), "Popen")  # noqa: B009
    return popen(process_obj)  # type: ignore[no-any-return]


class SpawnProcess(process.BaseProcess):
    """A child process, started as a new interpreter."""

    _start_method = "spawn"

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> popen_fork.Popen:
        return _popen_of("forkful.popen_spawn_posix", process_obj)


class ForkServerProcess(process.BaseProcess):
    """A child process, forked by a server."""

    _start_method = "forkserver"

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> popen_fork.Popen:
        return _popen_of("forkful.popen_forkserver", process_obj)


def _check_call(
    declared: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise TypeError where a factory was called otherwise than it is declared.

    What Python says of that itself counts the context among the arguments of the call.
    """
    import inspect

    signature = inspect.signature(declared)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        plain = [
            each.replace(annotation=each.empty) for each in list(signature.parameters.values())[1:]
        ]
        name = declared.__name__
        raise TypeError(f"{name}(): {error}; it is {name}{inspect.Signature(plain)}") from None


def _made_in(module: str, context: str | None = "ctx") -> Callable[[_F], _F]:
    """A factory: calls what has its name in a module of ours, which is imported only then.

    Args:
        module: Where its class, or function, is.
        context: The keyword by which that is told of the context; None: it is not.
    """

    def decorate(declared: _F) -> _F:
        name = declared.__name__

        def make(self: BaseContext, *args: Any, **kwargs: Any) -> Any:
            made = getattr(__import__(module, fromlist=(name,)), name)
            try:
                if context is None:
                    return made(*args, **kwargs)
                return made(*args, **{context: self.get_context()}, **kwargs)
            except TypeError:
                _check_call(declared, (self, *args), kwargs)
                raise

        for attribute in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
            setattr(make, attribute, getattr(declared, attribute))
        make.__wrapped__ = declared  # type: ignore[attr-defined]
        return make  # type: ignore[return-value]

    return decorate


class BaseContext:
    """What multiprocessing offers, bound to a start method."""

    AuthenticationError = AuthenticationError
    BufferTooShort = BufferTooShort
    ProcessError = ProcessError
    TimeoutError = TimeoutError

    active_children = staticmethod(process.active_children)
    current_process = staticmethod(process.current_process)
    parent_process = staticmethod(process.parent_process)

    Process: type[process.BaseProcess] = Process

    # --- what a context makes: the table of factories ---

    @_made_in("forkful.synchronize")
    def Lock(self, *, policy: str = "raise", name: str | None = None) -> synchronize.Lock:
        """A lock between processes: `with lock: …`, or acquire(timeout=seconds).

        A waiter whose lock's owner has died gets LockOwnerDied, and does not hold the lock; it
        calls recover() to have it. policy="recover" hands it over, "block" waits for ever, as
        multiprocessing does. name is what views of the family call it, by default the line of the
        program that makes it.

        Raises:
            ValueError: No such policy.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def RLock(self, *, policy: str = "raise", name: str | None = None) -> synchronize.RLock:
        """A lock that its thread may acquire again; otherwise as Lock().

        Raises:
            ValueError: No such policy.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Semaphore(self, value: int = 1, *, name: str | None = None) -> synchronize.Semaphore:
        """A counter of permits: acquire() takes one, release() gives one back.

        Raises:
            ValueError: value is less than 0, or more than 2**31 - 1.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def BoundedSemaphore(
        self, value: int = 1, *, name: str | None = None
    ) -> synchronize.BoundedSemaphore:
        """A Semaphore whose release() raises ValueError beyond its first value.

        Raises:
            ValueError: value is less than 0, or more than 2**31 - 1.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Event(self, *, name: str | None = None) -> synchronize.Event:
        """A flag to wait for: set(), clear(), is_set(), wait(timeout=None).

        wait() returns whether the flag is set; False means that `timeout` seconds have passed.

        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Condition(self, lock: Any = None, *, name: str | None = None) -> synchronize.Condition:
        """A place to wait for a notification, with a lock that is given away meanwhile.

            with condition:
                condition.wait_for(lambda: total.value > 9)

        help(forkful.synchronize.Condition) has its methods.

        Args:
            lock: A Lock or an RLock; by default an RLock of its own.
            name: As for Lock().
        Raises:
            TypeError: A lock of threading: processes would not exclude each other by it.
            AttributeError: `lock` is no lock.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.synchronize")
    def Barrier(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        name: str | None = None,
    ) -> synchronize.Barrier:
        """A place where a number of processes or threads meet: wait() returns when all are there.

        Where a party comes too late, is interrupted, or dies while it waits, all others get
        threading.BrokenBarrierError.

        Args:
            parties: How many have to come.
            action: Called by the last one to come, before anybody goes on.
            timeout: How many seconds wait() waits at most, where it does not say so itself.
            name: As for Lock().
        Raises:
            ValueError: parties is less than 1, or more than 2**22.
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def Queue(
        self, maxsize: int = 0, *, strict: bool = False, name: str | None = None
    ) -> queues.Queue[Any]:
        """A queue for any number of senders and receivers; see forkful.queues.Queue.

        put() has the item in the queue when it returns. get() waits for one; with a timeout, in
        seconds, it raises queue.Empty, and put() queue.Full, with nothing changed.

        Args:
            maxsize: The most items at a time; 0: as many as memory allows.
            strict: put() raises for an object that cannot be pickled, instead of printing that.
            name: As for Lock().
        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def JoinableQueue(
        self, maxsize: int = 0, *, strict: bool = False, name: str | None = None
    ) -> queues.JoinableQueue[Any]:
        """A Queue that knows which of its items are done with: task_done(), and join().

        Args: As for Queue().
        Raises:
            OSError: The family has no memory left.
        """

    @_made_in("forkful.queues")
    def SimpleQueue(self, *, name: str | None = None) -> queues.SimpleQueue[Any]:
        """A queue with put(), get(), empty() and close() only, without a bound.

        Raises:
            OSError: The family has no memory left.
        """

    if TYPE_CHECKING:
        Value: ValueFactory
        RawValue: RawValueFactory
        Array: ArrayFactory
        RawArray: RawArrayFactory
    else:

        @_made_in("forkful.sharedctypes")
        def Value(self, typecode_or_type, *args, lock=True, name=None):
            """A number that processes share: .value, and `with number.get_lock():` to change it.

            Args:
                typecode_or_type: "i" (int), "d" (double), … as in the array module, or a ctypes
                    type.
                args: The initial value, by default 0.
                lock: True: a new RLock. False: none, as RawValue(). Or the lock to use.
                name: As for Lock().
            Raises:
                TypeError: No such type, or an initial value that is none of it.
                AttributeError: `lock` is no lock.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes", context=None)
        def RawValue(self, typecode_or_type, *args, name=None):
            """A number that processes share, without a lock: a ctypes object in shared memory.

            Args: As for Value().
            Raises:
                TypeError: No such type, or an initial value that is none of it.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes")
        def Array(self, typecode_or_type, size_or_initializer, *, lock=True, name=None):
            """An array that processes share: a[i], and `with a.get_lock():` to change it.

            Args:
                typecode_or_type: The type of the elements, as for Value().
                size_or_initializer: How many elements, all 0, or a sequence of their values.
                lock: True: a new RLock. False: none, as RawArray(). Or the lock to use.
                name: As for Lock().
            Raises:
                TypeError: No such type, or a value that is none of it.
                ValueError: size_or_initializer is less than 0.
                AttributeError: `lock` is no lock.
                OSError: The family has no memory left.
            """

        @_made_in("forkful.sharedctypes", context=None)
        def RawArray(self, typecode_or_type, size_or_initializer, *, name=None):
            """An array that processes share, without a lock: a ctypes array in shared memory.

            Args: As for Array().
            Raises:
                TypeError: No such type, or a value that is none of it.
                ValueError: size_or_initializer is less than 0.
                OSError: The family has no memory left.
            """

    @_made_in("forkful.connection", context=None)
    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]:
        """Two connections, each of which receives what the other sends: send(), recv(), poll().

        They can be sent to other processes. When the last process that has one of them closes it,
        or has ended, the other's recv() raises EOFError and its send() BrokenPipeError.

        Args:
            duplex: False: the first can only receive, and the second only send.
        Raises:
            OSError: The system has no room for them.
        """

    @_made_in("forkful.pool", context="context")
    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> pool.Pool:
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
        Raises:
            ValueError: processes or maxtasksperchild is less than 1.
            TypeError: initializer cannot be called.
            OSError: The system has no room for a worker; those that had started are ended.
        """

    @_made_in("forkful.managers")
    def Manager(self) -> managers.SyncManager:
        """A manager whose server process runs: it makes dicts, lists, queues and so on.

            with forkful.Manager() as manager:
                counts = manager.dict()

        What it makes can be sent to any process, and used there. The server ends with the manager,
        or with the process that has it.

        Raises:
            EOFError: The server's process has ended before it served.
            OSError: The system has no room for a process.
        """

    # --- the rest ---

    def cpu_count(self) -> int:
        """The CPUs that this process may use: its affinity, within the cgroup's quota.

        Differs from multiprocessing, which counts those of the machine.
        """
        return _core.cpu_count()

    def freeze_support(self) -> None:
        """In a child of a frozen program, which is started as the program is, be that child."""
        if getattr(sys, "frozen", False):
            __import__("forkful.spawn", fromlist=("spawn",)).freeze_support()

    def allow_connection_pickling(self) -> None:
        """Nothing to do: connections can be sent anyway."""

    def get_logger(self) -> logging.Logger:
        """The logger of the family's processes."""
        return _log.get_logger()

    def log_to_stderr(self, level: int | str | None = None) -> logging.Logger:
        """The logger, with one more handler, which writes to stderr.

        Args:
            level: The lowest level that is logged; by default what the logger has.
        Raises:
            ValueError: No such level.
        """
        return _log.log_to_stderr(level)

    def set_executable(self, executable: str | bytes) -> None:
        """The interpreter that spawned children run."""
        __import__("forkful.spawn", fromlist=("spawn",)).set_executable(executable)

    def set_forkserver_preload(self, module_names: list[str]) -> None:
        """What the server of forkserver imports before it starts children.

        Raises:
            TypeError: It is no list of names.
        """
        __import__("forkful.forkserver", fromlist=("x",)).set_forkserver_preload(module_names)

    def get_context(self, method: str | None = None) -> BaseContext:
        """The context of a start method, or this one.

        Raises:
            ValueError: There is no such start method.
        """
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
        """Only the default context's start method can be set.

        Raises:
            ValueError: Always.
        """
        raise ValueError("cannot set start method of concrete context: set it on the package")

    @property
    def reducer(self) -> Any:
        """What pickles for all contexts: `reduction`, or what was assigned here in its place.

        Connections and starts take its ForkingPickler.
        """
        return globals().get("reduction") or __getattr__("reduction")

    @reducer.setter
    def reducer(self, reducer: Any) -> None:
        globals()["reduction"] = reducer

    _name: str | None = None


class ForkContext(BaseContext):
    """Children are forked."""

    _name = "fork"
    Process = ForkProcess


class SpawnContext(BaseContext):
    """Children begin as new interpreters."""

    _name = "spawn"
    Process = SpawnProcess


class ForkServerContext(BaseContext):
    """Children are forked by a server process."""

    _name = "forkserver"
    Process = ForkServerProcess


class DefaultContext(BaseContext):
    """The context behind the package's own names."""

    def __init__(self) -> None:
        self._actual: BaseContext | None = None

    def get_context(self, method: str | None = None) -> BaseContext:
        """The context of a start method, by default the one that is set, and at first fork's.

        Raises:
            ValueError: There is no such start method.
        """
        if method is not None:
            return super().get_context(method)
        if self._actual is None:
            self._actual = _contexts["fork"]
        return self._actual

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set how processes start. Once, unless forced.

        Raises:
            RuntimeError: It was set before.
            ValueError: There is no such start method.
        """
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
        return list(_contexts)


_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
default_context = DefaultContext()
# As programs know them, which add contexts of their own to the first.
_concrete_contexts, _default_context = _contexts, default_context


def _force_start_method(method: str) -> None:
    default_context._actual = _contexts[method]


_starting.force_start_method = _force_start_method
get_spawning_popen = _starting.get_spawning_popen
set_spawning_popen = _starting.set_spawning_popen


def assert_spawning(obj: Any) -> None:
    """Nothing to assert: the family's objects can be sent at any time."""


def __getattr__(name: str) -> Any:
    # What pickles is imported when it is needed, and kept where programs assign their own.
    if name != "reduction":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from forkful import reduction

    return globals().setdefault(name, reduction)
