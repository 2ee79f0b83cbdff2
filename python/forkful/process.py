"""Process: a child that runs a function."""

from __future__ import annotations

import atexit
import itertools
import os
import sys

from forkful import _core, _finalize, _fork, _log
from forkful._child import ending, kept, standard, starting

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from forkful.popen_fork import Popen

__all__ = ["BaseProcess", "active_children", "current_process", "parent_process"]

try:
    ORIGINAL_DIR: str | None = os.path.abspath(os.getcwd())
except OSError:
    ORIGINAL_DIR = None
_children: set[BaseProcess] = kept.Children()
_process_counter = itertools.count(1)


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> set[BaseProcess]:
        """_dangling: the Process objects that were made after it was first asked for, and live."""
        if name != "_dangling":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from _weakrefset import WeakSet

        return globals().setdefault(name, WeakSet())


def current_process() -> BaseProcess:
    """The Process object of this process."""
    return _current_process


def parent_process() -> BaseProcess | None:
    """The Process object of the parent, or None in the main process."""
    global _parent_process
    if _parent_process is None and _parent is not None:
        _parent_process = _ParentProcess(*_parent)  # few children ask
    return _parent_process


def is_being_prepared() -> bool:
    """Whether this is a child that has not come to its function yet: it runs the main module."""
    return getattr(_current_process, "_inheriting", False)


def active_children() -> list[BaseProcess]:
    """The children of this process that run; those that have ended are joined."""
    _cleanup()
    return list(_children)


def _cleanup() -> None:
    for child in list(_children):
        if child._popen is not None and child._popen.poll() is not None:
            _children.discard(child)


# Somebody's own os.fork(), too, makes a process without children.
os.register_at_fork(after_in_child=lambda: _children.clear())


class BaseProcess:
    """A child process that runs `target(*args, **kwargs)`, or an overridden run().

    Args:
        group: None; there for the likeness to threading.Thread.
        target: What run() calls.
        name: For people; by default Process-1, Process-1:1 and so on.
        daemon: True: the child is terminated when this process ends. None: as this process.
    Raises:
        TypeError: target cannot be called, args is not iterable, or kwargs is no mapping.
        AssertionError: group is given.

    Differs from multiprocessing: daemons may have children, which end with them.
    """

    _start_method: str | None = None
    _pool_worker = False

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = {},
        *,
        daemon: bool | None = None,
    ) -> None:
        assert group is None, (
            "group argument must be None for now: the function is given as target=, by its name"
        )
        self._closed = False
        self._popen: Popen | None = None
        self._identity: tuple[int, ...] = (*_current_process._identity, next(_process_counter))
        self._config: dict[str, Any] = dict(_current_process._config)
        self._parent_name = _current_process.name
        self._parent_pid: int | None = os.getpid()
        if target is not None and not callable(target):
            raise TypeError(
                f"target must be a callable, not {target!r}: give f and args=(...), not f(...)"
            )
        self._target, self._args = kept.to_call(target, "args", args)
        self._kwargs = kept.to_keywords("kwargs", kwargs)
        self._name = name or type(self).__name__ + "-" + ":".join(map(str, self._identity))
        if daemon is not None:
            self.daemon = daemon
        if "_dangling" in globals():
            globals()["_dangling"].add(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise kept.no_attribute(self, name)

    def _check_closed(self) -> None:
        if self._closed:
            raise ValueError(
                f"process object is closed: make a new one instead of using {self._name} again"
            )

    def run(self) -> None:
        """What the child does; override it, or give a target.

        Raises: What the target raises: in the child that is printed, and its exit code is 1.
        """
        target = self._target
        if target:
            target(*self._args, **self._kwargs)

    def start(self) -> None:
        """Start the child. Once per object; where it raises, none runs, and it may be tried again.

        Raises:
            AssertionError: It was started already, or made in another process.
            ValueError: It was closed.
            OSError: The kernel or the family has no room for another process.
        """
        self._check_closed()
        assert self._popen is None, (
            f"cannot start a process twice: make a new Process instead of {self._name}"
        )
        assert self._parent_pid == os.getpid(), (
            f"can only start a process object created by current process: {self._name} was made in "
            f"process {self._parent_pid}"
        )
        _cleanup()
        own = self.__dict__
        proxies = kept.proxies_among(own.get("_args", ()), own.get("_kwargs", {}))
        # After it, while the child runs, each page that is written costs a copy.
        self._set_started(self._Popen(self), proxies)

    def _set_started(self, popen: Popen, proxies: Sequence[Any] = ()) -> None:
        self._popen = popen
        self._sentinel = popen.sentinel
        self._kept = proxies
        # The target may refer to large objects, or to this one.
        for name in ("_target", "_args", "_kwargs"):
            self.__dict__.pop(name, None)
        _children.add(self)

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:
        raise NotImplementedError(
            "the Process of a context knows how children start: take get_context().Process"
        )

    def _started(self) -> Popen:
        self._check_closed()
        assert self._parent_pid == os.getpid(), (
            f"{self._name} is not a child of this process: only the one that made it can join it"
        )
        return self._known()

    def _known(self) -> Popen:
        self._check_closed()
        if self._popen is None:
            raise AssertionError(f"{self._name} has not been started: call start() first")
        return self._popen

    def terminate(self) -> None:
        """Send SIGTERM, also where the process is stopped; nothing where it has ended.

        Any process that has the object may. Locks that the process holds report LockOwnerDied to
        whoever waits for them.

        Raises:
            AssertionError: It was not started.
            ValueError: It was closed.
            PermissionError: This process has changed its user and may not.
        """
        self._known().terminate()

    def kill(self) -> None:
        """Send SIGKILL. Any process that has the object may.

        Raises: As terminate().
        """
        self._known().kill()

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does: KeyboardInterrupt in the child.

        Raises: As terminate().
        """
        self._known().interrupt()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the child has ended.

        Whether it has, exitcode says. Another process's child cannot be waited for.

        Args:
            timeout: How many seconds at most; None: as long as it takes.
        Raises:
            AssertionError: It was not started, or not by this process.
            ValueError: It was closed.
        """
        popen = self._started()
        if popen.wait(timeout) is not None:
            _children.discard(self)

    def is_alive(self) -> bool:
        """Whether the child runs.

        Raises:
            AssertionError: It was not made by this process.
            ValueError: It was closed.
        """
        self._check_closed()
        if self is not _current_process:
            assert self._parent_pid == os.getpid(), f"can only test a child process: {self._name}"
            if self._popen is None:
                return False
            if self._popen.poll() is not None:
                _children.discard(self)
                return False
        return True

    def close(self) -> None:
        """Give back what the object holds of the kernel; the object is of no use afterwards.

        Raises:
            ValueError: The child still runs.
        """
        popen = self._popen
        if popen is not None:
            if popen.poll() is None:
                raise ValueError(
                    f"Cannot close a process while it is still running: "
                    f"join() or terminate() {self._name} first"
                )
            _children.discard(self)
            popen.close()
            self._popen = None
            del self._sentinel
        self._closed = True

    @property
    def authkey(self) -> bytes:
        """The key that connections of the family authenticate with."""
        return self._config.get("authkey", b"")  # type: ignore[no-any-return]

    @authkey.setter
    def authkey(self, authkey: bytes) -> None:
        self._config["authkey"] = AuthenticationString(authkey)

    @property
    def daemon(self) -> bool:
        """Whether the child is terminated when this process ends."""
        daemonic = self._config.get("daemon")
        return False if daemonic is None else daemonic

    @daemon.setter
    def daemon(self, daemonic: bool) -> None:
        assert self._popen is None, (
            f"process has already started: set daemon before {self._name}.start()"
        )
        self._config["daemon"] = daemonic

    @property
    def name(self) -> str:
        """The name, for people."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise AssertionError(f"name must be a string, not {name!r}")
        self._name = name
        if self is _current_process:
            _log.name_records()

    @property
    def exitcode(self) -> int | None:
        """None while it runs, and in a process that is not its parent.

        Negative for the signal that killed it; 255 where somebody else has waited for the child and
        neither the kernel nor the child has said how it ended.
        """
        self._check_closed()
        if self is _current_process or self._popen is None:
            return None
        return self._popen.poll()

    @property
    def ident(self) -> int | None:
        """The process id; None before start()."""
        self._check_closed()
        if self._popen is not None:
            return self._popen.pid
        return os.getpid() if self is _current_process else None

    pid = ident

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the child has ended.

        Raises:
            ValueError: It was not started, or it was closed.
        """
        self._check_closed()
        try:
            return self._sentinel
        except AttributeError:
            raise ValueError(
                f"process not started: {self._name} has a sentinel after start()"
            ) from None

    def __repr__(self) -> str:
        status, exitcode = self._status()
        words = [type(self).__name__, f"name={self._name!r}"]
        if self._popen is not None:
            words.append(f"pid={self._popen.pid}")
        words += [f"parent={self._parent_pid}", status]
        if exitcode is not None:
            words.append(f"exitcode={_exitcode_to_name.get(exitcode, exitcode)}")
        if self.daemon:
            words.append("daemon")
        return "<" + " ".join(words) + ">"

    def _status(self) -> tuple[str, int | None]:
        """What repr() says of it, and the exit code where that is known."""
        if self._closed or self is _current_process:
            return "closed" if self._closed else "started", None
        if self._parent_pid != os.getpid():
            return "unknown", None
        if self._popen is None:
            return "initial", None
        code = self._popen.poll()
        return "started" if code is None else "stopped", code

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """The child's whole life; returns its exit code."""
        global _current_process, _parent, _parent_process, _process_counter, _children
        code = 1
        try:
            if self._start_method is not None:
                starting.force_start_method(self._start_method)
            _fork.of_util("_close_stdin", _fork.close_stdin)()
            _process_counter = itertools.count(1)
            _children = kept.Children()
            _parent = self._parent_name, self._parent_pid, parent_sentinel
            _parent_process = None
            _current_process = self
            _log.name_records()
            self._after_fork()
            _log.info("child process calling self.run()")
            try:
                self.run()
                code = 0
            finally:
                try:
                    _fork.of_util("_exit_function", _exit_function)()
                finally:
                    standard.end_child()
        except SystemExit as error:
            code = ending.exit_code_of(error)
        except BaseException:
            sys.stderr.write(f"Process {self.name}:\n")
            ending.print_error()
        finally:
            ending.await_threads()
            _log.info("process exiting with exitcode %d", code)
            _fork.of_util("_flush_std_streams", _fork.flush_std_streams)()
        return code

    @staticmethod
    def _after_fork() -> None:
        _finalize.reset_in_child()
        _fork.of_util("_run_after_forkers", _fork.run_after_forkers)()


class AuthenticationString(bytes):
    """A key that is pickled only towards a child."""

    def __reduce__(self) -> tuple[object, ...]:
        if starting.get_spawning_popen() is not None:
            return AuthenticationString, (bytes(self),)
        raise TypeError(
            "Pickling an AuthenticationString object is disallowed for security reasons: "
            "children receive it when they are started, and a Process, which has it, cannot be "
            "sent: send its name or its pid"
        )


class _NotStartedHere(BaseProcess):
    """A process that runs already when its object is made."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self._closed = False
        self._config = config
        self._identity = ()
        self._name = name
        self._parent_pid = self._popen = None


class _ParentProcess(_NotStartedHere):
    def __init__(self, name: str, pid: int | None, sentinel: int | None) -> None:
        super().__init__(name, {})
        self._pid = pid
        if sentinel is not None:
            self._sentinel = sentinel

    def is_alive(self) -> bool:
        # In its own child the kernel says so without a descriptor.
        return os.getppid() == self._pid or not self._has_ended(0)

    @property
    def ident(self) -> int | None:
        return self._pid

    pid = ident

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the parent has ended; made at its first use.

        Raises:
            ProcessLookupError: The parent has ended already.
        """
        if not hasattr(self, "_sentinel"):
            self._sentinel = os.pidfd_open(self._pid or 0)
        return self._sentinel

    def join(self, timeout: float | None = None) -> None:
        self._has_ended(None if timeout is None else max(0, int(timeout * 1000)))

    def _has_ended(self, milliseconds: int | None) -> bool:
        import select

        try:
            poller = select.poll()
            poller.register(self.sentinel, select.POLLIN)
            return bool(poller.poll(milliseconds))
        except ProcessLookupError:
            return True


class _MainProcess(_NotStartedHere):
    def __init__(self) -> None:
        authkey = AuthenticationString(os.urandom(32))
        super().__init__("MainProcess", {"authkey": authkey, "semprefix": "/mp"})

    def close(self) -> None:
        pass


_parent: tuple[str, int | None, int | None] | None = None  # as _ParentProcess takes it
_parent_process: BaseProcess | None = None
_current_process: BaseProcess = _MainProcess()
_exitcode_to_name = ending.exitcode_to_name
_log.process_name = lambda: _current_process.name


def _exit_function() -> None:
    """Run finalizers, end daemonic children, wait for the others."""
    _finalize.exit_function(active_children)


def _leave() -> None:
    _exit_function()
    _core.leave_family()


atexit.register(_leave)
