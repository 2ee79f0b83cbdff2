#!/usr/bin/env python3
"""Fuzzes the reader of Python's messages: a queue whose messages are written over in shared memory.

    python_messages.py seconds N SEED FOLDER      python_messages.py inputs N SEED FOLDER
    python_messages.py file PATH...               inputs that were found before

What another process sent is an object or an exception, whatever its bytes are. The seeds are
objects that forkful itself has written. The reading is done by a process of its own, whose crash is
one; what it read last is written to FOLDER then.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import mmap
import os
import pathlib
import random
import resource
import signal
import struct
import sys
import time
import traceback
import uuid
import warnings
from collections.abc import Callable

import forkful

SECONDS_FOR_ONE = 20
MOST_BYTES = 4000  # of one message, so that it lies in the ring itself
MEMORY_BYTES = 4 << 30
HEAD = struct.Struct("<II")  # of a record: see src/channel/ring.hpp
SKIP = 3
LAP_BEGIN = 64
SEGMENT_BYTES = 16384


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


@dataclasses.dataclass
class Point:
    x: int
    y: float
    name: str = "a point"


class Slotted:
    __slots__ = ("one", "two")

    def __init__(self) -> None:
        self.one, self.two = 1, [2]


class Stateful:
    def __getstate__(self) -> tuple[int, str]:
        return 3, "state"

    def __setstate__(self, state: tuple[int, str]) -> None:
        self.number, self.text = state


class Plain:
    pass


Pair = collections.namedtuple("Pair", "left right")


def seeds() -> list[object]:
    circle: list[object] = [1]
    circle.append(circle)
    shared = ["again"] * 3
    plain = Plain()
    plain.__dict__.update(number=1, text="x" * 70, others=[None, True])
    return [
        None,
        12345,
        -(1 << 200),
        1.5,
        "ascii",
        "ünïcode ✓",
        "\ud800 alone",
        "long " * 40,
        b"bytes",
        bytearray(b"more bytes"),
        (1, "two", (3.0, None)),
        [1, [2, [3, [4, []]]]],
        {"key": "value", 2: [3], None: (), "other key": {"deep": {}}},
        {1, 2, "three"},
        frozenset({"a", b"b"}),
        circle,
        [shared, shared, {"same": shared}],
        [plain, plain, Plain()],
        [Point(i, 0.5) for i in range(5)],
        Slotted(),
        Stateful(),
        Pair(1, [2]),
        [Colour.RED, Colour.GREEN, Colour.RED],
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        decimal.Decimal("1.25"),
        fractions.Fraction(1, 3),
        collections.deque([1, 2], maxlen=5),
        collections.OrderedDict(a=1, b=2),
        collections.defaultdict(list, a=[1]),
        collections.Counter("letters"),
        functools.partial(int, "11", base=2),
        pathlib.PurePosixPath("a/b"),
        uuid.UUID(int=7),
        ValueError("wrong", 3),
        range(3, 9),
        complex(1, 2),
        [len, dict, Point],
    ]


def arena() -> mmap.mmap:
    """The family's memory, as any member may write it."""
    forkful.Event()
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:forkful-arena"):
                return mmap.mmap(int(name), 0)
        except OSError:
            pass  # the descriptor that listed the others
    raise RuntimeError("this process maps no arena")


def find(memory: mmap.mmap, text: bytes) -> int:
    """Where it is; looks only at what is in memory, from the end, which is given out first."""
    page = mmap.PAGESIZE
    for end in range(len(memory), 0, -64 * page):
        found = memory.rfind(text, max(0, end - 65 * page), end)
        if found >= 0:
            return found
    raise RuntimeError("the message is not in the arena")


class Rogue:
    """Sends through a queue, and writes over what it has sent."""

    def __init__(self) -> None:
        self.memory = arena()
        self.queue = forkful.Queue()
        self.count = 0
        # A segment begins at a page, with its first record after its own words.
        self.segment = self.mark() - LAP_BEGIN
        self.queue.get()

    def mark(self) -> int:
        """Send a text that is known, and return where its record is."""
        self.count += 1
        text = f"a mark that is known {self.count:012}".encode()
        self.queue.put(text.decode())
        if self.count == 1:
            found = find(self.memory, text)
        else:
            found = self.memory.find(text, self.segment, self.segment + SEGMENT_BYTES)
        return found - 5 - HEAD.size  # the text has a tag and a length

    def send(self, item: object) -> tuple[int, int]:
        """Send it after a mark, and return where its bytes are, and how many."""
        record = self.mark()
        size, _ = HEAD.unpack_from(self.memory, record)
        self.queue.put(item)
        record += HEAD.size + (size + 7) // 8 * 8
        size, kind = HEAD.unpack_from(self.memory, record)
        if kind == SKIP:
            record = self.segment + LAP_BEGIN
            size, kind = HEAD.unpack_from(self.memory, record)
        assert kind == 1
        self.queue.get()
        return record + HEAD.size, size

    def encoded(self, item: object) -> bytes:
        at, size = self.send(item)
        self.queue.get()
        return self.memory[at : at + size]

    def read(self, message: bytes) -> None:
        """Have `message` received, as if another process had sent it."""
        at, size = self.send("m" * (len(message) - 5))
        assert size == len(message)
        self.memory[at : at + size] = message
        try:
            repr(self.queue.get(timeout=5))
        except SystemError:
            raise  # code in C did what it must not
        except Exception:
            pass  # a refusal


def flip(message: bytearray, drawn: random.Random) -> None:
    message[drawn.randrange(len(message))] ^= 1 << drawn.randrange(8)


def overwrite(message: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(message))
    for i in range(at, min(len(message), at + drawn.randint(1, 8))):
        message[i] = drawn.randrange(256)


def retag(message: bytearray, drawn: random.Random) -> None:
    message[drawn.randrange(len(message))] = drawn.randrange(26)


def number(message: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(message))
    numbers = [0, 1, 7, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, drawn.randrange(64)]
    message[at : at + 4] = struct.pack("<I", drawn.choice(numbers))


def cut(message: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(message))
    del message[at : at + drawn.choice([1, 4, 5, len(message)])]


def repeat(message: bytearray, drawn: random.Random) -> None:
    begin = drawn.randrange(len(message))
    piece = message[begin : begin + drawn.randint(1, 40)]
    at = drawn.randrange(len(message) + 1)
    message[at:at] = piece


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    flip,
    overwrite,
    retag,
    number,
    cut,
    repeat,
]


def mutated(seed_messages: list[bytes], drawn: random.Random) -> bytes:
    message = bytearray(drawn.choice(seed_messages))
    if drawn.randrange(4) == 0:
        message += drawn.choice(seed_messages)
    for _ in range(drawn.randint(1, 5)):
        drawn.choice(MUTATIONS)(message, drawn)
        if not message:
            break
    # Shorter ones than the text that they are written over can be none.
    return bytes(message[:MOST_BYTES]).ljust(6, b"\0")


class Progress:
    """What the reading process tells whoever watches it."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, MOST_BYTES + 16)

    def note(self, done: int, message: bytes) -> None:
        self.memory[16 : 16 + len(message)] = message
        struct.pack_into("<QQ", self.memory, 0, done, len(message))

    def last(self) -> tuple[int, bytes]:
        done, size = struct.unpack_from("<QQ", self.memory)
        return done, self.memory[16 : 16 + size]


def read_all(options: argparse.Namespace, progress: Progress) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # What a message imports or prints, and a call that it makes, is not to be seen.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")  # of modules that a message has imported
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # A message may call what has a name, and these would begin everything anew.
    for name in ("main", "run", "read_all"):
        del globals()[name]
    rogue = Rogue()
    seed_messages = [rogue.encoded(item) for item in seeds()]
    drawn = random.Random(options.seed)
    end = time.monotonic() + options.count
    done = 0
    while time.monotonic() < end if options.how == "seconds" else done < options.count:
        known = done < len(seed_messages)
        message = seed_messages[done].ljust(6, b"\0") if known else mutated(seed_messages, drawn)
        progress.note(done, message)
        signal.alarm(SECONDS_FOR_ONE)
        rogue.read(message)
        done += 1
    progress.note(done, b"")


def run(
    options: argparse.Namespace,
    name: str,
    read_all: Callable[[argparse.Namespace, Progress], None],
) -> int:
    progress = Progress()
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            read_all(options, progress)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    done, message = progress.last()
    rate = done / (time.monotonic() - begin)
    verdict = "FOUND one" if status else "none found"
    print(f"fuzz: {name:<11} {done:9} inputs, {rate:8.0f} a second, seed {options.seed}: {verdict}")
    if status:
        found = pathlib.Path(options.folder) / f"crash-{name}-{options.seed}"
        found.write_bytes(message)
        print(f"fuzz: status {status}; again:\n    {sys.argv[0]} file {found}")
    return 1 if status else 0


def main() -> int:
    if sys.argv[1:2] == ["file"]:
        rogue = Rogue()
        for path in sys.argv[2:]:
            rogue.read(pathlib.Path(path).read_bytes())
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=["seconds", "inputs"])
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(1 << 32))
    parser.add_argument("folder", nargs="?", default=".")
    return run(parser.parse_args(), "python", read_all)


if __name__ == "__main__":
    sys.exit(main())
