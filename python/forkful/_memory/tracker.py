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


def main(fd: int, family: int = -1, locks: int = 0) -> None:
    """Read what is registered, and remove it at the end; returns by exiting.

    Args:
        fd: Whence lines "COMMAND:name:type" come. Its end is the end, where there is no family.
        family: The family's file of notes, by which its end is seen.
        locks: How many bytes of that its members lock.
    Raises:
        SystemExit: 1 where something was left, else 0.
    """
    _get_out_of_the_way()
    notes = _notes_of(family) if family >= 0 else None
    if notes is not None:
        family = _open_anew(family)
        if not _lock(family, notes.ALIVE_AT, 1, wait=False):
            sys.exit(0)  # another one serves the family
    tracked: dict[tuple[str, str], set[tuple[int, int]]] = {}
    stopped = _listen(fd, tracked)
    if notes is not None:
        if not stopped:
            _lock(family, 0, locks, wait=True)
        noted, _ = notes.read(family, locks)
        tracked.update(noted)
        if stopped:
            for rtype, name in noted:
                notes.write(family, notes.UNREGISTER, rtype, name)
        else:
            # Somebody who is just being started may want his own.
            _lock(family, 0, locks, wait=True, unlock=True)
    sys.exit(_clean(tracked))


def _get_out_of_the_way() -> None:
    for number in IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, IGNORED)
    # Whoever reads what the program writes must see the program's end.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.chdir("/")


def _notes_of(family: int) -> ModuleType:
    from _frozen_importlib import _load  # type: ignore[attr-defined]
    from _frozen_importlib_external import spec_from_file_location

    path = os.path.join(os.path.dirname(__file__), "notes" + os.path.splitext(__file__)[1])
    return _load(spec_from_file_location("forkful_notes", path))  # type: ignore[no-any-return]


def _open_anew(fd: int) -> int:
    # A lock belongs to the open file, and the starter has this one open.
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return fd


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


def _listen(fd: int, tracked: dict[tuple[str, str], set[tuple[int, int]]]) -> bool:
    """Whether it was told to stop; False: whoever could write is gone."""
    with open(fd, "rb") as commands:
        for line in commands:
            try:
                what, _, rest = line.strip().decode().partition(":")
                name, _, rtype = rest.rpartition(":")
                if what == "STOP":
                    return True
                if what == "PROBE":
                    continue
                if rtype not in CLEANUP:
                    raise ValueError(
                        f"Cannot register {name} for automatic cleanup: "
                        f"unknown resource type {rtype}"
                    )
                if what == "REGISTER":
                    tracked.setdefault((rtype, name), set())
                elif what == "UNREGISTER":
                    tracked.pop((rtype, name), None)
                else:
                    raise RuntimeError(f"unrecognized command {line!r}")
            except Exception:
                sys.excepthook(*sys.exc_info())
    return False


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
