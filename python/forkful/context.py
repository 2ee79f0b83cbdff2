"""Contexts: the names of the package, for one start method."""

from __future__ import annotations

import sys

from forkful import _core, _log, popen_fork, process
from forkful._child import starting
from forkful._errors import AuthenticationError, BufferTooShort, ProcessError, TimeoutError
from forkful._factories import Factories

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import logging
    from typing import Any, Literal, overload

    from forkful import reduction as reduction

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


class BaseContext(Factories):
    """What multiprocessing offers, bound to a start method."""

    AuthenticationError = AuthenticationError
    BufferTooShort = BufferTooShort
    ProcessError = ProcessError
    TimeoutError = TimeoutError

    active_children = staticmethod(process.active_children)
    current_process = staticmethod(process.current_process)
    parent_process = staticmethod(process.parent_process)

    Process: type[process.BaseProcess] = Process

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

    if TYPE_CHECKING:

        @overload
        def get_context(self, method: Literal["fork"]) -> ForkContext: ...
        @overload
        def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
        @overload
        def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
        @overload
        def get_context(self, method: str | None = None) -> BaseContext: ...
        def get_context(self, method: str | None = None) -> BaseContext: ...

        @overload
        def get_start_method(self, allow_none: Literal[False] = False) -> str: ...
        @overload
        def get_start_method(self, allow_none: bool) -> str | None: ...
        def get_start_method(self, allow_none: bool = False) -> str | None: ...

    else:

        def get_context(self, method=None):
            """The context of a start method; without one, that by which this one starts processes.

            Raises:
                ValueError: There is no such start method.
            """
            return self._chosen() if method is None else _context_of(method)

        def get_start_method(self, allow_none=False):
            """How this context starts processes; with allow_none, None while that is open."""
            return None if allow_none and self._is_open() else self._chosen()._name

    def _chosen(self) -> BaseContext:
        return self

    def _is_open(self) -> bool:
        return False

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
        return sys.modules[__name__].reduction

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

    def _chosen(self) -> BaseContext:
        """The context of the start method that is set, and at first fork's."""
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
            told = "context has already been set"
            if process.is_being_prepared():
                # It is the main module that sets it, without a guard.
                guard = __import__("forkful.spawn", fromlist=("x",)).NO_GUARD
                raise RuntimeError(f"{told}, and a child runs the main module once more\n{guard}")
            raise RuntimeError(f"{told}: give force=True to set it again")
        self._actual = self.get_context(method) if method is not None else None

    def _is_open(self) -> bool:
        return self._actual is None

    def get_all_start_methods(self) -> list[str]:
        """The start methods that work, the default first."""
        return list(_contexts)


_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
default_context = DefaultContext()


def _context_of(method: str) -> BaseContext:
    try:
        return _contexts[method]
    except KeyError:
        raise ValueError(
            f"cannot find context for {method!r}: what there is, is "
            f"{', '.join(default_context.get_all_start_methods())}"
        ) from None


# As programs know them, which add contexts of their own to the first.
_concrete_contexts, _default_context = _contexts, default_context


def our_context(context: Any) -> BaseContext:
    """The context of ours that starts processes as this one, which may be another package's."""
    if isinstance(context, BaseContext):
        return context.get_context()
    method: str = context.get_start_method(allow_none=False)
    return default_context.get_context(method)


def _force_start_method(method: str) -> None:
    default_context._actual = _contexts[method]


starting.force_start_method = _force_start_method
get_spawning_popen = starting.get_spawning_popen
set_spawning_popen = starting.set_spawning_popen


def assert_spawning(obj: Any) -> None:
    """Nothing to assert: the family's objects can be sent at any time."""


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> Any:
        # What pickles is imported when it is needed, and kept where programs assign their own.
        if name != "reduction":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from forkful import reduction

        return globals().setdefault(name, reduction)
