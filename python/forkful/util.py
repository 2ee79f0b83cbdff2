"""What programs take from multiprocessing.util: logging, finalizers, forks and exits.

Where these are is a matter of our own: _log, _finalize and _fork, which know nothing of each other
but the log.
"""

from __future__ import annotations

import os
import sys
import threading

from forkful import _finalize, _fork, _log, process
from forkful._child.execute import interpreter_flags as _args_from_interpreter_flags  # noqa: F401
from forkful._child.execute import spawnv_passfds as spawnv_passfds
from forkful._finalize import Finalize, is_exiting
from forkful._fork import register_after_fork
from forkful._log import (
    DEFAULT_LOGGING_FORMAT,
    LOGGER_NAME,
    SUBDEBUG,
    SUBWARNING,
    debug,
    get_logger,
    info,
    log_to_stderr,
    sub_debug,
    sub_warning,
)
from forkful._temporary import get_temp_dir

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "DEFAULT_LOGGING_FORMAT",
    "Finalize",
    "ForkAwareLocal",
    "ForkAwareThreadLock",
    "LOGGER_NAME",
    "SUBDEBUG",
    "SUBWARNING",
    "close_all_fds_except",
    "debug",
    "get_logger",
    "get_temp_dir",
    "info",
    "is_exiting",
    "log_to_stderr",
    "register_after_fork",
    "sub_debug",
    "sub_warning",
]

NOTSET = 0
DEBUG = 10
INFO = 20
WARNING = 30

# Descriptors have lower numbers. Not a bound where the limit was lowered while some were open.
MAXFD = os.sysconf("SC_OPEN_MAX")
# Programs that run where they cannot be used set it to False.
abstract_sockets_supported = True

_finalizer_registry = _finalize.registry
_finalizer_counter = _finalize._order
_afterfork_counter = _fork._order
_run_finalizers = _finalize.run_finalizers
_run_after_forkers = _fork.run_after_forkers
_flush_std_streams = _fork.flush_std_streams
_close_stdin = _fork.close_stdin
_exit_function = process._exit_function

# What changes, or is made when it is first asked for, is where it belongs.
_ELSEWHERE = {
    "_afterfork_registry": (_fork, "after_fork"),
    "_exiting": (_finalize, "_exiting"),
    "_log_to_stderr": (_log, "_log_to_stderr"),
    "_logger": (_log, "_logger"),
}


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> Any:
        if name in _ELSEWHERE:
            return getattr(*_ELSEWHERE[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_abstract_socket_namespace(address: str | bytes) -> bool:
    """Whether it is the address of a socket that has a name, and no file.

    Raises:
        TypeError: It is no address of such a family.
    """
    if not isinstance(address, str | bytes):
        raise TypeError(f"address type of {address!r} unrecognized: str or bytes is")
    zero: object = "\0" if isinstance(address, str) else b"\0"
    return address[:1] == zero  # as one kind of the two, since -bb forbids another comparison


def close_fds(*fds: int) -> None:
    """Close them all.

    Raises:
        OSError: One is not open; the others are closed all the same.
    """
    failure = None
    for fd in fds:
        try:
            os.close(fd)
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def close_all_fds_except(fds: Iterable[int]) -> None:
    """Close every descriptor but these.

    Raises:
        AssertionError: One of them is no descriptor.
    """
    low = 0
    for fd in sorted(set(fds)):
        assert fd >= 0, f"fd {fd} is no descriptor: they begin at 0"
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, max(low, MAXFD))


def _cleanup_tests() -> None:
    """End what processes of ours serve this one, and remove its temporary files."""
    import gc

    for module, name in (
        ("forkserver", "_forkserver"),
        ("resource_tracker", "_resource_tracker"),
    ):
        loaded = sys.modules.get(f"forkful.{module}")
        if loaded is not None:
            getattr(loaded, name)._stop()
    _run_finalizers()
    gc.collect()


class ForkAwareLocal(threading.local):
    """Attributes of each thread; a forked child has none of them."""

    def __init__(self) -> None:
        register_after_fork(self, _forget_attributes)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


def _forget_attributes(local: threading.local) -> None:
    local.__dict__.clear()


class ForkAwareThreadLock:
    """A thread lock that a forked child finds free."""

    def __init__(self) -> None:
        self._take(threading.Lock())
        register_after_fork(self, lambda self: self._take(threading.Lock()))

    def _take(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.acquire, self.release = lock.acquire, lock.release

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()
