"""Executing a program in a child that has those descriptors alone which are passed to it."""

from __future__ import annotations

import os
import sys

from forkful import _core
from forkful._child import letter

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["execute", "interpreter_flags", "spawnv_passfds"]

# What stands in sys.flags when the interpreter was given no option that a child has to be given.
_INHERITED = (
    "bytes_warning",
    "debug",
    "dont_write_bytecode",
    "ignore_environment",
    "isolated",
    "no_site",
    "no_user_site",
    "optimize",
    "quiet",
    "safe_path",
    "verbose",
)


def interpreter_flags() -> list[str]:
    """The options of this interpreter, as far as its children are to have them."""
    if not (
        sys.warnoptions
        or sys._xoptions
        or sys.flags.dev_mode
        or any(getattr(sys.flags, name) for name in _INHERITED)
    ):
        return []  # without an import of subprocess, which takes 8 ms
    import subprocess

    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]


def spawnv_passfds(path: str | bytes, args: Sequence[str | bytes], passfds: Iterable[int]) -> int:
    """Execute a program in a new process, which inherits the standard streams and these; its pid.

    Raises:
        OSError: There is no such program, or no room for a process.
    """
    return execute(path, args, passfds)


def execute(
    path: str | bytes,
    args: Sequence[str | bytes],
    passfds: Iterable[int],
    new_session: bool = False,
) -> int:
    """As spawnv_passfds(), in a session of its own if that is wanted.

    Raises: As that.
    """
    import _posixsubprocess

    path = os.fsencode(path)
    failure, writer = os.pipe()
    try:
        # Not waited for: by vfork the program runs when the call is back, or the report is there.
        # A child that another thread forks just now has the writing end as well, and keeps it.
        os.set_blocking(failure, False)
        writer = letter.above_streams(writer)
        pid = _core.execute(
            _posixsubprocess.fork_exec,
            *_arguments(path, args, passfds, failure, writer, new_session),
        )
        try:
            report = os.read(failure, 1000)
        except BlockingIOError:
            report = b""
    finally:
        os.close(failure)
        os.close(writer)
    if report:
        _core.take_executed()
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # somebody else has waited for it
        # "OSError", the errno in hexadecimal digits, and where it came up.
        number = int(report.split(b":")[1], 16)
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return pid


def _arguments(
    path: bytes,
    args: Sequence[str | bytes],
    passfds: Iterable[int],
    failure: int,
    writer: int,
    new_session: bool,
) -> list[object]:
    """What the function behind subprocess.Popen is called with, which has no names for it."""
    no_streams = [-1] * 6
    not_restored, no_group, no_function = False, -1, None
    same_group, same_groups, same_user, same_umask = None, None, None, -1
    arguments: list[object] = [
        [os.fsencode(each) for each in args],
        [path],
        True,  # close whatever is not passed
        tuple(sorted(map(int, {*passfds, writer}))),
        None,  # the same folder
        None,  # and environment
        *no_streams,
        failure,
        writer,
        not_restored,
        new_session,
        no_group,
        same_group,
        same_groups,
        same_user,
        same_umask,
        no_function,
    ]
    if sys.version_info < (3, 14):
        # A program that has switched vfork off has done so in subprocess.
        arguments.append(getattr(sys.modules.get("subprocess"), "_USE_VFORK", True))
    return arguments
