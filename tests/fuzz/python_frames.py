#!/usr/bin/env python3
"""Fuzzes the reader of Python's connections: the lengths and bytes of messages in a stream.

    python_frames.py seconds N SEED FOLDER      python_frames.py inputs N SEED FOLDER
    python_frames.py file PATH...               inputs that were found before

The stream comes at once or in pieces, and begins with what an interrupted receiver has kept. What
is received is compared with a plain reader of the same bytes. The reading is done by a process of
its own, whose crash is one; what it read last is written to FOLDER then.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from forkful import _core
from python_messages import MEMORY_BYTES, SECONDS_FOR_ONE, Progress, mutated, run

# An input: which limit, how long a piece, how much an interrupted receiver had; then the stream.
CHOICES = struct.Struct("<BBB")
LIMITS = [None, 0, 100, 1 << 31]
AT_ONCE = 128  # from here on a piece is the whole

Outcome = bytes | int | type[BaseException]


def framed(message: bytes) -> bytes:
    """As a sender writes it."""
    return struct.pack(">i", len(message)) + message


def long_framed(size: int, message: bytes) -> bytes:
    """As a message from 2 GiB on begins."""
    return struct.pack(">iq", -1, size) + message


def seeds() -> list[bytes]:
    streams = [
        framed(b"") + framed(b"a") + framed(b"b" * 300),
        framed(b"c" * 100) + framed(b"d" * 101),
        long_framed(5, b"e" * 5) + framed(b"f"),
        long_framed(1 << 40, b"g" * 50),
        long_framed(-1, b""),
        struct.pack(">i", -2),
        framed(b"h" * 20)[:-1],
    ]
    return [
        CHOICES.pack(limit, piece, kept) + stream
        for stream in streams
        for limit, piece, kept in [(0, AT_ONCE, 0), (1, 1, 3), (2, 7, 12), (3, 50, 200)]
    ]


def header_of(stream: bytes) -> tuple[int, int | None]:
    """How many bytes the header at the stream's beginning has, and its length if it is whole."""
    size = 12 if stream[:4] == b"\xff" * 4 else 4
    if len(stream) < size:
        return size, None
    if size == 12:
        return size, struct.unpack_from(">q", stream, 4)[0]
    return size, struct.unpack_from(">i", stream)[0]


def expected(stream: bytes, limit: int | None) -> list[Outcome]:
    """What comes of the stream, by a plain reader; the last is why there is no more."""
    outcomes: list[Outcome] = []
    while True:
        size, length = header_of(stream)
        if length is None:
            return [*outcomes, OSError if stream else EOFError]
        if length < 0 or (limit is not None and length > limit):
            return [*outcomes, length]
        body, stream = stream[size : size + length], stream[size + length :]
        if len(body) < length:
            return [*outcomes, OSError if body else EOFError]
        outcomes.append(body)


def kept_of(stream: bytes, most: int, limit: int | None) -> int:
    """How much of the first message an interrupted receiver may have."""
    size, length = header_of(stream)
    if length is None or length < 0 or (limit is not None and length > limit):
        length = 0
    return min(most, len(stream), size + length)


def received(fd: int, partial: bytearray, limit: int | None) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while True:
        try:
            message = _core.receive(fd, partial, limit)
        except (OSError, EOFError) as error:
            return [*outcomes, type(error)]
        outcomes.append(message)
        if isinstance(message, int):
            return outcomes


def read(message: bytes) -> None:
    which, piece, most = CHOICES.unpack(message[: CHOICES.size].ljust(CHOICES.size, b"\0"))
    stream = message[CHOICES.size :]
    limit = LIMITS[which % len(LIMITS)]
    kept = kept_of(stream, most, limit)
    piece = len(stream) if piece >= AT_ONCE else 1 + piece
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            for at in range(kept, len(stream), max(piece, 1)):
                try:
                    theirs.sendall(stream[at : at + piece])
                except ConnectionError:  # the receiver has had enough
                    return

    with ours:
        sender = threading.Thread(target=send)
        if piece >= len(stream):
            send()
        else:
            sender.start()
        outcomes = received(ours.fileno(), bytearray(stream[:kept]), limit)
    if sender.ident is not None:
        sender.join()
    wanted = expected(stream, limit)
    if outcomes != wanted:
        raise AssertionError(f"received {outcomes!r}, and not {wanted!r}")


def read_all(options: argparse.Namespace, progress: Progress) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    known = seeds()
    drawn = random.Random(options.seed)
    end = time.monotonic() + options.count
    done = 0
    while time.monotonic() < end if options.how == "seconds" else done < options.count:
        message = known[done] if done < len(known) else mutated(known, drawn)
        progress.note(done, message)
        signal.alarm(SECONDS_FOR_ONE)
        read(message)
        done += 1
    progress.note(done, b"")


def main() -> int:
    if sys.argv[1:2] == ["file"]:
        for path in sys.argv[2:]:
            read(Path(path).read_bytes())
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=["seconds", "inputs"])
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(1 << 32))
    parser.add_argument("folder", nargs="?", default=os.curdir)
    return run(parser.parse_args(), "frames", read_all)


if __name__ == "__main__":
    sys.exit(main())
