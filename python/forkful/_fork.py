"""What happens around a fork: the warning before it, the streams, and what others registered."""

from __future__ import annotations

import itertools
import os
import sys
from io import BufferedReader, FileIO, TextIOWrapper

from forkful import _core, _log

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable
    from typing import Any

    _Registry = weakref.WeakValueDictionary[tuple[int, int, Callable[[Any], object]], Any]

__all__ = [
    "close_stdin",
    "flush_std_streams",
    "fork",
    "of_util",
    "prepare_stdin",
    "register_after_fork",
    "run_after_forkers",
]

_order = itertools.count()


def __getattr__(name: str) -> _Registry:
    """What is registered, by the order in which it was; made when it is first needed."""
    if name != "after_fork":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import weakref

    # In one step, so that two threads which register their first get the same one.
    registry: _Registry = globals().setdefault(name, weakref.WeakValueDictionary())
    return registry


def _registered() -> _Registry:
    registry: _Registry = sys.modules[__name__].after_fork
    return registry


def register_after_fork(obj: Any, func: Callable[[Any], object]) -> None:
    """Call func(obj) in each child that a Process starts by forking, while `obj` lives."""
    _registered()[(next(_order), id(obj), func)] = obj


def run_after_forkers() -> None:
    if "after_fork" not in globals():
        return
    for (_, _, func), obj in sorted(_registered().items(), key=lambda item: item[0][0]):
        try:
            func(obj)
        except Exception as error:
            _log.info("after forker raised exception %s", error)


os.register_at_fork(after_in_child=_core.note_main_thread)

# The names of our threads begin with it; none of them holds a lock that a child could need.
OWN_THREADS = "forkful-"


def fork(daemonic: bool, pool_worker: bool, name: str) -> int:
    """os.fork(), which warns of the program's own threads where Python's does.

    From 3.12 on os.fork() warns after the fork, and of every thread; this warns before, by name,
    and not of our threads, nor of those that have ended: what threading makes for a thread that it
    has not started stays in its list after that, before 3.13. A pool starts its workers without it,
    also from a thread of its own.
    """
    threading = sys.modules.get("threading")
    if (
        not pool_worker
        and sys.version_info >= (3, 12)
        and threading is not None
        and threading.active_count() > 1
    ):
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


def of_util(name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
    """What forkful.util has under that name, if it is imported: programs put their own there."""
    function: Callable[..., Any] = getattr(sys.modules.get("forkful.util"), name, ours)
    return function


def flush_std_streams() -> None:
    """Write what was printed.

    Raises:
        OSError: It could not be written: to a pipe without a reader, say, or a full disk.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):
            pass  # there is none, or it is closed


# A child's stdin, made by its parent before the fork and opened in the child: to make one there
# costs 0.1 ms, most of it for pages that the child then has to copy. One child uses it up.
_spare_stdin: TextIOWrapper | None = None


def prepare_stdin() -> None:
    """Before a fork: make what close_stdin() puts in the place of the child's stdin."""
    global _spare_stdin
    if _spare_stdin is not None:
        return
    try:
        fd = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return  # the child will find so itself
    _spare_stdin = _as_stdin(fd)
    os.close(fd)


# Not by open(), in whose place a program may have put something of its own.
def _as_stdin(fd: int) -> TextIOWrapper:
    return TextIOWrapper(BufferedReader(FileIO(fd, closefd=False)), "utf-8")


def close_stdin() -> None:
    """Children read no input: their stdin is empty."""
    if sys.stdin is None:
        return
    for step in (_close_given_stdin, _make_empty_stdin):
        try:
            step()
        except (OSError, ValueError):
            pass


def _close_given_stdin() -> None:
    stdin: Any = sys.stdin
    raw = None
    if type(stdin) is TextIOWrapper and type(stdin.buffer) is BufferedReader:
        # Without its buffer, which has nothing to write; this is what the buffer's close() would
        # do, without its lock, which a thread of the parent may have had.
        raw = stdin.buffer.raw
    (stdin if raw is None else raw).close()


def _make_empty_stdin() -> None:
    global _spare_stdin
    stdin, _spare_stdin = _spare_stdin, None
    fd = os.open(os.devnull, os.O_RDONLY)
    if stdin is None:
        stdin = _as_stdin(fd)
    else:
        stdin.buffer.raw.__init__(fd, closefd=False)  # type: ignore[attr-defined]
    sys.stdin = stdin
