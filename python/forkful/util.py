"""What programs take from multiprocessing.util: logging, finalizers, forks and exits.

Where these are is a matter of our own: _log, _finalize and _fork, which know nothing of each other
but the log.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence

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

__all__ = [
    "DEFAULT_LOGGING_FORMAT",
    "Finalize",
    "ForkAwareThreadLock",
    "LOGGER_NAME",
    "SUBDEBUG",
    "SUBWARNING",
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


def spawnv_passfds(path: str | bytes, args: Sequence[str | bytes], passfds: Iterable[int]) -> int:
    """Start a program that has these descriptors and the standard ones, and return its pid.

    Raises:
        OSError: There is no such program, or no room for a process.
    """
    return _spawnv(path, args, passfds, new_session=False)


def _spawnv(
    path: str | bytes, args: Sequence[str | bytes], passfds: Iterable[int], *, new_session: bool
) -> int:
    import _posixsubprocess
    import sys

    fork_exec: Callable[..., int] = _posixsubprocess.fork_exec
    subprocess = sys.modules.get("subprocess")
    may_vfork = subprocess is None or getattr(subprocess, "_USE_VFORK", True)
    say, tell = os.pipe()  # the child writes there why it could not
    try:
        pid = fork_exec(
            [os.fsencode(each) for each in args],
            [os.fsencode(path)],
            True,
            tuple(sorted(map(int, passfds))),
            None,  # its folder
            None,  # its environment
            *(-1,) * 6,  # standard streams: as they are here
            say,
            tell,
            False,
            new_session,
            -1,
            None,
            None,
            None,
            -1,
            None,
            may_vfork,
        )
        os.close(tell)
        tell = -1
        # Nothing where the program has begun.
        failure = os.read(say, 1000)
    finally:
        os.close(say)
        if tell >= 0:
            os.close(tell)
    if failure:
        os.waitpid(pid, 0)
        number = int(failure.split(b":")[1] or b"0", 16)
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return pid
