"""A family's notes of what is to be removed when it is gone: lines at the end of a file of its own.

The file is the one on which members hold locks while they live (`_core.liveness_file()`). A note is
one write at its end, so nobody waits for anybody, and whoever is killed has written it or has not.
When many have been written, somebody writes down what still holds of them and gives their memory
back. The tracker's process uses this module too, without the package around it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import TypeAlias

    File: TypeAlias = tuple[int, int]
    # By type and name: which files of that name are meant; empty: whichever has it.
    Tracked: TypeAlias = dict[tuple[str, str], set[File]]

__all__ = ["ALIVE_AT", "ANY", "REGISTER", "TIDY_AT", "UNREGISTER", "read", "tidy", "write"]

# Of locks, behind all that is written: the tracker's own, and whoever's turn it is to tidy.
ALIVE_AT = 1 << 60
TIDY_AT = ALIVE_AT + 1
REGISTER = "REGISTER"
UNREGISTER = "UNREGISTER"
ANY = (0, 0)
_PAGE = 1 << 16  # of any kernel, or a multiple of it


def _line(what: str, rtype: str, name: str, file: File) -> bytes:
    # In front a new line, which ends one that was cut off; and the name so that it is one word.
    word = (name.encode() if name.isascii() else os.fsencode(name)).hex()
    return f"\n{what} {rtype} {file[0]} {file[1]} {word} .\n".encode()


def write(fd: int, what: str, rtype: str, name: str, file: File = ANY) -> int:
    """Add a note, and return where the file then ends.

    Args:
        fd: Opened to append.
        file: The device and the number of the file, where only that one is meant.
    Raises:
        OSError: There is no room.
    """
    note = _line(what, rtype, name, file)
    if os.write(fd, note) != len(note):
        raise OSError(28, "no room for a note of what is to be removed when the family is gone")
    return os.lseek(fd, 0, os.SEEK_CUR)


def read(fd: int, begin: int) -> tuple[Tracked, int]:
    """What the notes come to, and where they end.

    Args:
        begin: Where they may begin.
    """
    end = os.fstat(fd).st_size
    try:
        at = os.lseek(fd, begin, os.SEEK_DATA)
    except OSError:
        return {}, end  # nothing was written
    parts = []
    while at < end and (part := os.pread(fd, end - at, at)):
        parts.append(part)
        at += len(part)
    text = b"".join(parts)
    base = at - len(text)
    tracked: Tracked = {}
    done = base
    found = _last_sum(text)
    if found is not None:
        until, summed = found
        done = max(done, until)
        _apply(summed, tracked)
    _apply(text[done - base :], tracked)
    return tracked, end


def _last_sum(text: bytes) -> tuple[int, bytes] | None:
    """The newest sum of notes that is complete: what it reaches to, and its lines."""
    end = text.rfind(b"\nEND ")
    while end >= 0:
        label = text[end + 5 : end + 64].split(b"\n")[0]
        begin = text.rfind(b"\nSUM " + label + b"\n", 0, end)
        if begin >= 0 and label.isdigit():
            return int(label), text[begin:end]
        end = text.rfind(b"\nEND ", 0, end)
    return None


def _apply(text: bytes, tracked: Tracked) -> None:
    is_sum = text.startswith(b"\nSUM ")
    in_sum = False
    for line in text.split(b"\n"):
        if line.startswith((b"SUM ", b"END ")):
            in_sum = line.startswith(b"SUM ") and not is_sum
            continue
        words = line.decode("ascii", "replace").split(" ")
        if in_sum or len(words) != 6 or words[5] != ".":
            continue
        what, rtype, device, number, name, _ = words
        try:
            key = (rtype, os.fsdecode(bytes.fromhex(name)))
            file = (int(device), int(number))
        except ValueError:
            continue
        if what == REGISTER:
            tracked.setdefault(key, set()).update({file} - {ANY})
        elif what == UNREGISTER and key in tracked:
            tracked[key].discard(file)
            if file == ANY or not tracked[key]:
                del tracked[key]


def tidy(fd: int, begin: int) -> None:
    """Write down what still holds, in one note, and give back the memory of all before it.

    One process at a time. Whoever is killed in it leaves the old notes as they were, or both.
    """
    tracked, end = read(fd, begin)
    lines = [
        _line(REGISTER, rtype, name, file)
        for (rtype, name), files in tracked.items()
        for file in files or {ANY}
    ]
    label = b"%d" % end
    note = b"".join([b"\nSUM ", label, b"\n", *lines, b"\nEND ", label, b"\n"])
    if os.write(fd, note) != len(note):
        return
    first = (begin + _PAGE - 1) // _PAGE * _PAGE
    length = end // _PAGE * _PAGE - first
    if length <= 0:
        return
    import mmap

    with mmap.mmap(fd, length, offset=first) as pages:
        pages.madvise(mmap.MADV_REMOVE)
