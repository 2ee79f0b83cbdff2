"""What a child that is no fork is told: a file without a name, which it is handed.

    8 digits: the bytes of the head | head, in lines | pickles

The head has the child's ticket into the family, the parent's pid, the numbers of what else the
child was handed, and whether forkful stands in for multiprocessing there. The file's offset is left
at the first pickle, since programs that replace what a child does read the pickles from a
descriptor by themselves. Why no pipe: nobody then waits for a child that does not read.
"""

from __future__ import annotations

import os

__all__ = ["open_parent", "read", "write"]

_MAGIC = "forkful letter 1"
_SIZE_DIGITS = 8
_FIRST_FREE = 3  # below are the standard streams, of which one may be closed


def above_streams(fd: int) -> int:
    """The descriptor, or in its place a duplicate that is none of the standard streams."""
    if fd >= _FIRST_FREE:
        return fd
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(fd)


def write(
    ticket: str, descriptors: list[int], pickles: list[bytes], installed: bool = False
) -> int:
    """A new letter; whoever gets it closes it.

    Args:
        ticket: For the child; see _core.invite().
        descriptors: What it is handed besides.
        pickles: What it is to be.
        installed: Whether forkful is to stand in for multiprocessing.
    Raises:
        OSError: No descriptor is left, or no memory.
    """
    numbers = " ".join(map(str, descriptors))
    lines = (_MAGIC, ticket, str(os.getpid()), numbers, "installed" if installed else "")
    head = "\n".join(lines).encode()
    head = b"%0*d" % (_SIZE_DIGITS, len(head)) + head
    fd = above_streams(os.memfd_create("forkful-letter", os.MFD_CLOEXEC))
    try:
        for part in (head, *pickles):
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(fd, rest) :]
        os.lseek(fd, len(head), os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read(fd: int) -> tuple[str, int, list[int], bool]:
    """The ticket, the parent's pid, the descriptors of a letter, and whether forkful is installed.

    Raises:
        ValueError: It is none.
    """
    size = os.pread(fd, _SIZE_DIGITS, 0)
    lines = os.pread(fd, int(size), _SIZE_DIGITS).decode().split("\n")
    if lines[0] != _MAGIC:
        raise ValueError("it is of another version of forkful")
    _, ticket, parent, descriptors, installed = lines
    return ticket, int(parent), [int(each) for each in descriptors.split()], installed != ""


def open_parent(pid: int) -> int | None:
    """A descriptor that is readable once the parent has ended; None where none is left for it."""
    try:
        fd = os.pidfd_open(pid)
        # Another process may have got the number; whose child this one is, the kernel knows.
        if os.getppid() == pid:
            return fd
        os.close(fd)
    except ProcessLookupError:
        pass
    except OSError:
        return None
    ended, writer = os.pipe()
    os.close(writer)
    return ended
