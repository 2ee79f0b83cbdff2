"""Numbers as multiprocessing's own fork server sends them, for programs that speak with one."""

from __future__ import annotations

import os
import sys

__all__ = ["MAXFDS_TO_SEND", "read_signed", "write_signed"]

MAXFDS_TO_SEND = 256
_SIGNED_BYTES = 8


def read_signed(fd: int) -> int:
    """A number that write_signed() has written.

    Raises:
        EOFError: The other end is gone.
    """
    data = b""
    while len(data) < _SIGNED_BYTES:
        part = os.read(fd, _SIGNED_BYTES - len(data))
        if not part:
            raise EOFError("unexpected EOF")
        data += part
    return int.from_bytes(data, sys.byteorder, signed=True)


def write_signed(fd: int, n: int) -> None:
    """Write a number of 64 bits.

    Raises:
        OSError: The other end is gone.
    """
    rest = memoryview(n.to_bytes(_SIGNED_BYTES, sys.byteorder, signed=True))
    while rest:
        rest = rest[os.write(fd, rest) :]
