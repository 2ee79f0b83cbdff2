"""What programs take from multiprocessing.util: logging, finalizers, forks and exits.

Where these are is a matter of our own: _log, _finalize and _fork, which know nothing of each other
but the log.
"""

from __future__ import annotations

import threading

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
