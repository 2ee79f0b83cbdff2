"""What test modules share: waiting for conditions, looking at processes, running programs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from forkful import resource_tracker
from forkful.connection import Connection
from forkful.context import BaseContext

PATIENCE_SECONDS = 20.0
# The least and the greatest number of each typecode of integers.
INTEGERS = {
    "b": (-(2**7), 2**7 - 1),
    "B": (0, 2**8 - 1),
    "h": (-(2**15), 2**15 - 1),
    "H": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "I": (0, 2**32 - 1),
    "l": (-(2**63), 2**63 - 1),
    "L": (0, 2**64 - 1),
    "q": (-(2**63), 2**63 - 1),
    "Q": (0, 2**64 - 1),
}


def eventually(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)  # Why: the interval at which the condition is looked at
    return True


def await_condition(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    assert eventually(condition, seconds), "this did not come true in time"


def stat_of(pid: int) -> tuple[str, int] | None:
    """The state letter and the parent of a process, or None where there is none."""
    # By plain calls of the system: each test looks at all processes, several times.
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            text = os.read(fd, 1024)
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, _ = text[text.rindex(b")") + 1 :].split(None, 2)
    return state.decode(), int(parent)


def runs(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def is_asleep(pid: int) -> bool:
    """Whether the process sleeps in the kernel."""
    stat = stat_of(pid)
    return stat is not None and stat[0] == "S"


def children_of(parent: int) -> dict[int, str]:
    """Its children, zombies included, each with its state letter; not this family's tracker."""
    children = {}
    tracker = resource_tracker._resource_tracker._pid
    for entry in os.listdir("/proc"):
        stat = stat_of(int(entry)) if entry.isdigit() else None
        if stat is not None and stat[1] == parent and int(entry) != tracker:
            children[int(entry)] = stat[0]
    return children


def open_descriptors() -> dict[int, str]:
    """This process's descriptors, each with what it refers to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass  # the one that listed the others
    return found


def shared_memory_files() -> set[str]:
    """What is in /dev/shm, but for semaphores of programs that use the standard library."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.mp-")}


def files_left(before: set[str]) -> set[str]:
    """What is new in /dev/shm and stays; what other suites have there comes and goes."""
    left = shared_memory_files() - before
    eventually(lambda: not left & shared_memory_files())
    left &= shared_memory_files()
    return left - files_of_others() if left else left


def no_new_files(before: set[str]) -> bool:
    return not files_left(before)


def files_of_others() -> set[str]:
    """What processes of other sessions, such as suites beside this one, have of /dev/shm."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != os.getsid(0):
                files = [os.readlink(each) for each in process.glob("fd/*")]
                files += (process / "maps").read_text().split()
                found |= {Path(each).name for each in files if each.startswith("/dev/shm/")}
        except OSError:
            pass  # it has ended, or belongs to somebody else
    return found


def resident_bytes(pid: int | str = "self") -> int:
    """Its resident memory, the shared part included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stay() -> None:
    """What ends only when it is killed; the engine's own signals end a signal.pause()."""
    while True:
        signal.pause()


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_COMMAND = [sys.executable, "-W", "error"]


def run_python(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own, warnings being errors."""
    return run([*_COMMAND, "-c", textwrap.dedent(code), *arguments], **options)


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run(command, **settings)  # type: ignore[call-overload,no-any-return]


def start_python(code: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    """Start a program whose output is read line by line; use it as a context manager."""
    settings: dict[str, object] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "start_new_session": True,
        **options,
    }
    command = [*_COMMAND, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, **settings)  # type: ignore[call-overload,no-any-return]


def without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x…", text)


def ask(context: BaseContext, target: Callable[..., object], *args: object) -> object:
    """What a child puts into the queue that it gets as its first argument."""
    queue = context.Queue()
    child = context.Process(target=target, args=(queue, *args))
    child.start()
    told = queue.get(timeout=30)
    child.join()
    assert child.exitcode == 0
    return told


def echo(connection: Connection, other: Connection) -> None:
    """A child's target: sends back what it receives, until the other end is closed."""
    other.close()  # a forked child has it, too
    while True:
        try:
            connection.send(connection.recv())
        except EOFError:
            return
