"""What the other modules share: logging, finalizers, and what happens at fork and at exit."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import logging
    from typing import Any

__all__ = [
    "Finalize",
    "debug",
    "get_logger",
    "info",
    "is_exiting",
    "log_to_stderr",
    "register_after_fork",
    "sub_debug",
    "sub_warning",
]

NOTSET = 0
SUBDEBUG = 5
DEBUG = 10
INFO = 20
SUBWARNING = 25
WARNING = 30

LOGGER_NAME = "multiprocessing"
DEFAULT_LOGGING_FORMAT = "[%(levelname)s/%(processName)s] %(message)s"

_logger: logging.Logger | None = None
_log_to_stderr = False


def get_logger() -> logging.Logger:
    """The logger of the family's processes; it has no handler of its own."""
    global _logger
    if _logger is None:
        import logging

        logging.addLevelName(SUBDEBUG, "SUBDEBUG")
        logging.addLevelName(SUBWARNING, "SUBWARNING")
        _logger = logging.getLogger(LOGGER_NAME)
        _logger.propagate = False
        _logger.addFilter(_name_process)
    return _logger


def _name_process(record: logging.LogRecord) -> bool:
    # logging itself asks only a module that is called multiprocessing.
    from forkful.process import current_process

    record.processName = current_process().name
    return True


def log_to_stderr(level: int | str | None = None) -> logging.Logger:
    """get_logger() with a handler that writes to stderr, at `level` where one is given."""
    global _log_to_stderr
    import logging

    logger = get_logger()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(DEFAULT_LOGGING_FORMAT))
    logger.addHandler(handler)
    if level:
        logger.setLevel(level)
    _log_to_stderr = True
    return logger


def _log(level: int, message: str, args: tuple[Any, ...]) -> None:
    if _logger is not None:
        _logger.log(level, message, *args, stacklevel=3)


def sub_debug(msg: str, *args: Any) -> None:
    """Log at SUBDEBUG, if anybody has asked for the logger."""
    _log(SUBDEBUG, msg, args)


def debug(msg: str, *args: Any) -> None:
    """Log at DEBUG, if anybody has asked for the logger."""
    _log(DEBUG, msg, args)


def info(msg: str, *args: Any) -> None:
    """Log at INFO, if anybody has asked for the logger."""
    _log(INFO, msg, args)


def sub_warning(msg: str, *args: Any) -> None:
    """Log at SUBWARNING, if anybody has asked for the logger."""
    _log(SUBWARNING, msg, args)


# --- fork ---

_after_fork: weakref.WeakValueDictionary[tuple[int, int, Callable[[Any], object]], Any] = (
    weakref.WeakValueDictionary()
)
_after_fork_order = itertools.count()


def register_after_fork(obj: Any, func: Callable[[Any], object]) -> None:
    """Call func(obj) in each child that a Process starts by forking, while `obj` lives."""
    _after_fork[(next(_after_fork_order), id(obj), func)] = obj


def _run_after_forkers() -> None:
    for (_, _, func), obj in sorted(_after_fork.items(), key=lambda item: item[0][0]):
        try:
            func(obj)
        except Exception as error:
            info("after forker raised exception %s", error)


os.register_at_fork(after_in_child=_core.note_main_thread)

# The names of our threads begin with it; none of them holds a lock that a child could need.
OWN_THREADS = "forkful-"


def _fork(daemonic: bool, pool_worker: bool, name: str) -> int:
    """os.fork(), which warns of the program's own threads where Python's does.

    From 3.12 on os.fork() warns after the fork, and of every thread; this warns before, by name,
    and not of our threads, nor of those that have ended: what threading makes for a thread that it
    has not started stays in its list after that, before 3.13. A pool starts its workers without it,
    also from a thread of its own.
    """
    if not pool_worker and sys.version_info >= (3, 12) and threading.active_count() > 1:
        others = [
            thread.name
            for thread in threading.enumerate()
            if thread.ident != threading.get_ident()
            and not thread.name.startswith(OWN_THREADS)
            and os.path.exists(f"/proc/self/task/{thread.native_id}")
        ]
        if others:
            import warnings

            warnings.warn(
                f"This process (pid={os.getpid()}) is multi-threaded, use of fork() may lead to "
                f"deadlocks in the child: a lock that one of {', '.join(others)} holds at that "
                f"moment stays locked there",
                DeprecationWarning,
                stacklevel=1,
            )
    return _core.fork(daemonic, pool_worker, name.encode(errors="replace"))


# --- finalizers ---

_finalizer_registry: dict[tuple[int | None, int], Finalize] = {}
_finalizer_order = itertools.count()


class Finalize:
    """Call `callback` once: when `obj` dies, when called, or at exit where it has a priority.

    Args:
        obj: The object to watch, or None.
        exitpriority: At exit higher ones run first; None: not at exit.
    """

    def __init__(
        self,
        obj: Any,
        callback: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        exitpriority: int | None = None,
    ) -> None:
        if exitpriority is not None and not isinstance(exitpriority, int):
            raise TypeError(
                f"Exitpriority ({exitpriority!r}) must be None or int, not {type(exitpriority)!s}"
            )
        if obj is None and exitpriority is None:
            raise ValueError("Without object, exitpriority cannot be None")
        self._weakref = weakref.ref(obj, self) if obj is not None else None
        self._call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None = (
            callback,
            args,
            kwargs or {},
        )
        self._key = (exitpriority, next(_finalizer_order))
        self._pid = os.getpid()
        _finalizer_registry[self._key] = self

    # Why defaults: what dies last at the interpreter's end finds this module's globals gone.
    def __call__(
        self,
        wr: object = None,
        *,
        _registry: dict[tuple[int | None, int], Finalize] = _finalizer_registry,
        _getpid: Callable[[], int] = os.getpid,
    ) -> Any:
        """Run the callback unless that has happened, or happened to be due in another process."""
        if _registry.pop(self._key, None) is None or self._call is None:
            return None
        callback, args, kwargs = self._call
        self._call = self._weakref = None
        if self._pid != _getpid():
            return None
        return callback(*args, **kwargs)

    def cancel(self) -> None:
        """Forget the callback."""
        if _finalizer_registry.pop(self._key, None) is not None:
            self._call = self._weakref = None

    def still_active(self) -> bool:
        """Whether the callback is still to come."""
        return self._key in _finalizer_registry

    def __repr__(self) -> str:
        if self._call is None:
            return f"<{type(self).__name__} object, dead>"
        return f"<{type(self).__name__} object, callback={self._call[0]!r}>"


def _run_finalizers(minpriority: int | None = None) -> None:
    """Run finalizers of at least that priority, the highest first, later ones before earlier."""

    def due(key: tuple[int | None, int]) -> bool:
        return key[0] is not None and (minpriority is None or key[0] >= minpriority)

    keys = sorted((k for k in list(_finalizer_registry) if due(k)), reverse=True)
    for key in keys:
        finalizer = _finalizer_registry.get(key)
        if finalizer is None:
            continue
        try:
            finalizer()
        except Exception:
            import traceback

            traceback.print_exc()
    if minpriority is None:
        _finalizer_registry.clear()


# --- exit ---

_exiting = False
_GRACE = 2  # seconds that a daemon has to end when it is asked to

# A program that ends itself so has not died: what it started lives on.
os._exit = _core._exit


def is_exiting() -> bool:
    """Whether this process is on its way out."""
    return _exiting


def _exit_function() -> None:
    """Run finalizers, end daemonic children, wait for the others."""
    global _exiting
    if _exiting:
        return
    _exiting = True
    from forkful.process import active_children

    info("process shutting down")
    _run_finalizers(0)
    children = active_children()
    for child in list(children):
        if child.daemon:
            info("calling terminate() for daemon %s", child.name)
            try:
                child.terminate()
            except PermissionError:
                # This process has changed its user; the daemon goes when it is gone.
                children.remove(child)
    end = time.monotonic() + _GRACE
    for child in children:
        info("calling join() for process %s", child.name)
        if child.daemon:
            child.join(max(0, end - time.monotonic()))
            child.kill()
        child.join()
    _run_finalizers()


def _leave() -> None:
    _exit_function()
    _core.leave_family()


atexit.register(_leave)


def _reset_in_child() -> None:
    global _exiting
    _exiting = False
    _finalizer_registry.clear()


def _flush_std_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass


def _close_stdin() -> None:
    """Children read no input: their stdin is empty."""
    if sys.stdin is None:
        return
    try:
        sys.stdin.close()
    except (OSError, ValueError):
        pass
    try:
        fd = os.open(os.devnull, os.O_RDONLY)
        sys.stdin = open(fd, encoding="utf-8", closefd=False)
    except (OSError, ValueError):
        pass


class ForkAwareThreadLock:
    """A thread lock that a forked child finds free."""

    def __init__(self) -> None:
        self._reset()
        register_after_fork(self, ForkAwareThreadLock._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *args: Any) -> None:
        self._lock.__exit__(*args)
