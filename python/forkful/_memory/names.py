"""Memory in the system under a name, as every Python and every C program sees it: in /dev/shm."""

from __future__ import annotations

import errno
import os
import time

__all__ = ["FOLDER", "MODE", "link", "make_unnamed", "shm_open", "shm_unlink", "wait_for_size"]

FOLDER = "/dev/shm"
MODE = 0o600  # for this user alone
_LONGEST = 255  # the kernel's bound for the name of a file


def _path_of(name: str) -> str:
    # In front there may be slashes; the rest is the name of a file, which must not lead elsewhere.
    bare = name.lstrip("/")
    size = len(bare) if bare.isascii() else len(os.fsencode(bare))
    if not bare or "/" in bare or bare in (".", "..") or size > _LONGEST:
        raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: no name of shared memory", name)
    return f"{FOLDER}/{bare}"


def _named(error: OSError, name: str) -> OSError:
    # By the name that the caller knows, not the path.
    return OSError(error.errno, error.strerror, name)


def shm_open(path: str, flags: int, mode: int = 0o777) -> int:
    """As the C function: a descriptor of the shared memory of that name.

    Args:
        path: The name, with a slash in front.
        flags: os.O_RDWR and the like.
        mode: Who may use it, where it is made.
    Raises:
        OSError: There is none, there is one already, or the name cannot be one.
        ValueError: The name has a null character.
    """
    try:
        return os.open(_path_of(path), flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        raise _named(error, path) from None


def shm_unlink(path: str) -> None:
    """As the C function: takes the name away; the memory goes with its last mapping.

    Raises:
        OSError: There is none, or the name cannot be one.
        ValueError: The name has a null character.
    """
    try:
        os.unlink(_path_of(path))
    except OSError as error:
        raise _named(error, path) from None


def make_unnamed(size: int, mode: int) -> int | None:
    """Memory that gets its name by link(), so nobody ever sees a part of it, whoever is killed.

    Returns:
        Its descriptor; None where the kernel cannot do so.
    Raises:
        OSError: There is no room.
    """
    try:
        fd = os.open(FOLDER, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError:
        return None
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def link(fd: int, name: str) -> None:
    """Give memory its name.

    Raises:
        FileNotFoundError: The system cannot do so: it has no /proc.
        OSError: The name is taken, or cannot be one.
        ValueError: It has a null character.
    """
    try:
        # Why the last argument: without it link() is called, which does not follow /proc's link.
        os.link(f"/proc/self/fd/{fd}", _path_of(name), src_dir_fd=fd)
    except OSError as error:
        raise _named(error, name) from None


def wait_for_size(fd: int) -> int:
    """The bytes of the memory; a moment's patience with one that another program is just making."""
    size = os.fstat(fd).st_size
    for _ in range(100):
        if size > 0:
            break
        time.sleep(0.001)  # Why: its maker has named it and gives it a size; nothing tells of that
        size = os.fstat(fd).st_size
    return size
