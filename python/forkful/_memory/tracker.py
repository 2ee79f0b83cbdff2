"""The process that removes what is left when those who used it are gone.

It runs this file without the package around it, and imports as little as it can. It ignores the
signals that end a program, since it has to be there after it; being killed does no harm, because
the family's next note starts another one, which finds all notes.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports more
import os
import sys

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

__all__ = ["CLEANUP", "IGNORED", "main"]

IGNORED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)

_SHM = "/dev/shm/"


def _remove(name: str, prefix: str = "") -> None:
    bare = name.lstrip("/")
    try:
        if bare in ("", ".", "..") or "/" in bare:
            raise OSError(22, os.strerror(22))
        os.unlink(_SHM + prefix + bare)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


# By type, how a thing is removed.
CLEANUP: dict[str, Callable[[str], Any]] = {
    "noop": lambda name: None,
    "dummy": lambda name: None,
    "shared_memory": _remove,
    "semaphore": lambda name: _remove(name, "sem."),
}


def main(fd: int) -> None:
    """Read what is registered, and remove it at the end; returns by exiting.

    Args:
        fd: Whence commands come, a line each. Its end is the end, unless one of them has named a
            family's notes; then it is the end of the family.
    Raises:
        SystemExit: 1 where something was left, else 0.
    """
    _get_out_of_the_way()
    tracked: dict[tuple[str, str], set[tuple[int, int]]] = {}
    family: _Family | None = None
    stopped = False
    with open(fd, "rb") as commands:
        for line in commands:
            try:
                what, _, rest = line.strip().decode().partition(":")
                name, _, rtype = rest.rpartition(":")
                if what == "NOTES":
                    family = _Family(int(name), int(rtype))
                elif what == "STOP":
                    stopped = True
                    break
                else:
                    _obey(what, name, rtype, tracked)
            except Exception:
                sys.excepthook(*sys.exc_info())
    if family is not None:
        tracked.update(family.left_now() if stopped else family.left_at_the_end())
    sys.exit(_clean(tracked))


def _obey(
    what: str, name: str, rtype: str, tracked: dict[tuple[str, str], set[tuple[int, int]]]
) -> None:
    if what == "PROBE":
        return
    if rtype not in CLEANUP:
        raise ValueError(
            f"Cannot register {name} for automatic cleanup: unknown resource type {rtype}"
        )
    if what == "REGISTER":
        tracked.setdefault((rtype, name), set())
    elif what == "UNREGISTER":
        tracked.pop((rtype, name), None)
    else:
        raise RuntimeError(f"unrecognized command {what}")


class _Family:
    """The family's notes, and its end."""

    def __init__(self, fd: int, locks: int) -> None:
        """By this open file it also holds the lock that says that the family is served.

        Args:
            fd: The file of the notes.
            locks: How many bytes of it the members lock.
        """
        self._notes = _load_notes()
        self._locks = locks
        self._fd = fd

    def left_at_the_end(self) -> dict[tuple[str, str], set[tuple[int, int]]]:
        """Wait until the family is gone."""
        _lock(self._fd, 0, self._locks, wait=True)
        left: dict[tuple[str, str], set[tuple[int, int]]]
        left, _ = self._notes.read(self._fd, self._locks)
        # Whoever is just being started may want his own.
        _lock(self._fd, 0, self._locks, wait=False, unlock=True)
        return left

    def left_now(self) -> dict[tuple[str, str], set[tuple[int, int]]]:
        """What the family has; it is then no longer noted."""
        left: dict[tuple[str, str], set[tuple[int, int]]]
        left, _ = self._notes.read(self._fd, self._locks)
        for rtype, name in left:
            self._notes.write(self._fd, self._notes.UNREGISTER, rtype, name)
        return left


def _get_out_of_the_way() -> None:
    for number in IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, IGNORED)
    # Whoever reads what the program writes must see the program's end.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.chdir("/")


def _load_notes() -> ModuleType:
    from _frozen_importlib import _load  # type: ignore[attr-defined]
    from _frozen_importlib_external import spec_from_file_location

    path = os.path.join(os.path.dirname(__file__), "notes" + os.path.splitext(__file__)[1])
    return _load(spec_from_file_location("forkful_notes", path))  # type: ignore[no-any-return]


def _lock(fd: int, begin: int, length: int, *, wait: bool, unlock: bool = False) -> bool:
    import fcntl
    import struct

    kind = fcntl.F_UNLCK if unlock else fcntl.F_WRLCK
    # struct flock: type, whence, begin, length, pid.
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, begin, length, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, lock)
    except OSError:
        return False
    return True


def _clean(tracked: dict[tuple[str, str], set[tuple[int, int]]]) -> int:
    """Remove it, say so, and return the exit code."""
    left: dict[str, list[str]] = {}
    for rtype, name in tracked:
        left.setdefault(rtype, []).append(name)
    for rtype, names in left.items():
        _warn(
            f"There appear to be {len(names)} leaked {rtype} objects to clean up at shutdown: "
            f"{', '.join(map(repr, names[:100]))}"
        )
        for name in names:
            try:
                if rtype not in CLEANUP:
                    raise ValueError(f"unknown resource type {rtype}")
                files = tracked[rtype, name]
                if files and _file_of(name) not in files:
                    # Somebody has unlinked it; what has the name now is somebody else's.
                    raise FileNotFoundError(2, os.strerror(2), name)
                CLEANUP[rtype](name)
            except Exception as error:
                _warn(f"{name!r}: {error}")
    return 1 if left else 0


def _file_of(name: str) -> tuple[int, int]:
    about = os.stat(_SHM + name.lstrip("/"), follow_symlinks=False)
    return about.st_dev, about.st_ino


def _warn(text: str) -> None:
    import warnings

    text = f"resource_tracker: {text}"
    try:
        # Under the name by which programs silence it.
        warnings.warn_explicit(
            text, UserWarning, "resource_tracker.py", 1, "multiprocessing.resource_tracker"
        )
    except UserWarning:
        sys.stderr.write(f"{text}\n")  # a program that makes errors of warnings
