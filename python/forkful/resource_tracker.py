"""Removes shared memory that has a name when the family is gone and nobody has unlinked it.

What a family's members register is noted in a file of the family's own, so it does not matter who
has registered it, who unregisters it, who ends first, and how. A process of its own, started when
something is registered for the first time, waits for the end of the family. Locks, queues and
values of forkful have no names and need none of it.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import weakref

from forkful import _core
from forkful._child.descriptors import file_of
from forkful._memory import notes, tracker

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ensure_running", "register", "unregister"]


def _cleanup_funcs() -> dict[str, Callable[[str], Any]]:
    kinds = ["noop", "shared_memory"]
    if sys.version_info >= (3, 13):
        kinds.append("dummy")
    return {kind: tracker.CLEANUP[kind] for kind in kinds}


# What it can remove; for programs that look. The tracker's process has its own.
_CLEANUP_FUNCS = _cleanup_funcs()

main = tracker.main

_PROGRAM = os.path.abspath(tracker.__file__)


def cleanup_noop(name: str) -> None:
    """How nothing is removed.

    Raises:
        RuntimeError: Always: nobody registers a thing of that type.
    """
    raise RuntimeError(f"noop should never be registered or cleaned up, and {name!r} was")


_LONGEST = 512  # of a command: what a pipe takes as a whole on every system
_SHORT = 64  # a name of so many characters is not too long for one


class ReentrantCallError(RuntimeError):
    """There for programs that catch it; a signal's handler may use a tracker."""


class ResourceTracker:
    """A process that removes what was registered when whoever could unregister it is gone.

    This one hears of it by a pipe, as that of multiprocessing does.
    """

    def __init__(self) -> None:
        self._lock = _thread.RLock()
        self._fd: int | None = None
        self._pid: int | None = None
        self._exitcode: int | None = None
        self._pipe: tuple[int, int] | None = None  # what the descriptor is, if it is still ours
        _trackers.add(self)

    def getfd(self) -> int | None:
        """The descriptor by which the process hears of this one; starts it if need be."""
        self.ensure_running()
        return self._fd

    def ensure_running(self) -> None:
        """Start the process, unless it runs.

        Raises:
            OSError: The system has no room for it.
        """
        with self._lock:
            if self._check_alive():
                return
            if self._fd is not None or self._pid is not None:
                self._warn_of_death()
            self._forget()
            self._launch()

    def register(self, name: str, rtype: str) -> None:
        """Have `name` removed at the end, unless it is unregistered before.

        Args:
            rtype: "shared_memory".
        Raises:
            ValueError: The name is too long.
            OSError: There is no room to note it.
        """
        self._send(notes.REGISTER, name, rtype)

    def unregister(self, name: str, rtype: str) -> None:
        """Forget it; nothing where it is not registered.

        Raises: As register().
        """
        self._send(notes.UNREGISTER, name, rtype)

    def _check_alive(self) -> bool:
        """Whether the process runs."""
        if self._pid is not None:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                pass  # another process's child, or somebody has waited for it
            else:
                if pid == 0:
                    return True
                self._exitcode = os.waitstatus_to_exitcode(status)
                return False
        if not self._owns_fd():
            return False
        try:
            os.write(self._fd, b"PROBE:0:noop\n")  # type: ignore[arg-type]
        except OSError:
            return False
        return True

    def _adopt(self, fd: int) -> None:
        self._fd, self._pipe = fd, file_of(fd)

    def _owns_fd(self) -> bool:
        # A program may have closed it, and given its number to a file of its own.
        file = file_of(self._fd) if self._fd is not None else None
        return file is not None and file == (self._pipe or file)

    def _send(self, cmd: str, name: str, rtype: str) -> None:
        message = _message(cmd, name, rtype)
        self.ensure_running()
        assert self._fd is not None
        written = os.write(self._fd, message)
        assert written == len(message), f"{written} bytes of {len(message)} written"

    def _stop(self) -> None:
        """End the process, which removes what is registered now, and wait for it.

        Where none was needed, nothing is left, as after one that ends with 0.
        """
        with self._lock:
            if self._fd is None:
                if self._exitcode is None:
                    self._exitcode = 0
                return
            if self._owns_fd():
                try:
                    os.write(self._fd, b"STOP:0:noop\n")
                except OSError:
                    pass  # it is gone
            pid = self._pid
            self._forget()
            if pid is None:
                return
            try:
                _, status = os.waitpid(pid, 0)
            except ChildProcessError:
                return  # it was another process's, or somebody has waited for it
            self._exitcode = os.waitstatus_to_exitcode(status)

    def _forget(self) -> None:
        if self._fd is not None and self._owns_fd():
            os.close(self._fd)
        self._fd = self._pid = self._pipe = None

    def _warn_of_death(self) -> None:
        import warnings

        warnings.warn(
            "resource_tracker: process died unexpectedly, relaunching.  Some resources might leak.",
            stacklevel=4,
        )

    def _launch(self, *family: int) -> None:
        from forkful._child import execute

        # What would go there is how the process says that it cannot be written to stderr.
        kept = [2, *family[:1]] if file_of(2) else [*family[:1]]
        read, write = os.pipe()
        try:
            if family:
                os.write(write, b"NOTES:%d:%d\n" % family)
            exe, command = _command(read)
            # The signals that it will ignore wait until it does.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, tracker.IGNORED)
            try:
                pid = execute.execute(exe, command, [read, *kept], new_session=True)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException:
            os.close(write)
            raise
        finally:
            os.close(read)
        self._fd, self._pid, self._pipe, self._exitcode = write, pid, file_of(write), None


class _FamilyTracker(ResourceTracker):
    """The tracker that a family has in common.

    Its process may be another member's child, and then has no pid here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._notes = -1  # the family's file, opened anew to append
        self._file: tuple[int, int] | None = None  # which that is
        self._begin = 0
        self._handed = -1  # the open file that a process which is being started will have
        self._is_noted = False  # whether there are some
        self._tidied = 0  # how far the notes went when they were tidied

    def _open_notes(self) -> bool:
        """False where the program has closed the family's file: then there is the pipe."""
        if self._notes >= 0 and file_of(self._notes) == self._file:
            return True
        fd, self._begin = _core.liveness_file()
        if fd < 0:
            return False
        try:
            anew = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return False
        self._notes, self._file = anew, file_of(anew)
        return True

    def _check_alive(self) -> bool:
        if super()._check_alive():
            return True
        return self._open_notes() and self._is_served()

    def _is_served(self) -> bool:
        import fcntl

        answer = fcntl.fcntl(self._notes, fcntl.F_OFD_GETLK, _lock_of_service())
        kind = int.from_bytes(answer[:2], sys.byteorder)  # of the lock that is in the way
        return kind != fcntl.F_UNLCK

    def ensure_running(self) -> None:
        """Start the family's process, unless one runs.

        Raises:
            OSError: The system has no room for it.
        """
        with self._lock:
            if self._check_alive():
                return
            self._forget()
            if not self._open_notes():
                self._launch()
            elif self._take_service():
                try:
                    self._launch(self._handed, self._begin)
                finally:
                    self._let_go()

    def _take_service(self) -> bool:
        """Take the lock that the new process shall hold; False: another member was faster.

        A lock belongs to the open file, which the process is handed, so there is no moment at which
        two could be started.
        """
        import fcntl

        path = f"/proc/self/fd/{self._notes}"
        self._handed = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.fcntl(self._handed, fcntl.F_OFD_SETLK, _lock_of_service())
        except OSError:
            self._let_go()
            return False
        return True

    def _let_go(self) -> None:
        handed, self._handed = self._handed, -1
        if handed >= 0:
            os.close(handed)

    def _send(self, cmd: str, name: str, rtype: str) -> None:
        if len(name) > _SHORT:
            _message(cmd, name, rtype)
        if not self._open_notes():
            super()._send(cmd, name, rtype)
            return
        if cmd == notes.REGISTER:
            self.ensure_running()
        elif not self._is_noted and os.fstat(self._notes).st_size == self._begin:
            return  # nobody of the family has ever registered anything
        self._is_noted = True
        end = notes.write(self._notes, cmd, rtype, name, _made.get(name, notes.ANY))
        if end - self._tidied > _NOTES_KEPT:
            self._tidy(end)

    def _tidy(self, end: int) -> None:
        import fcntl

        self._tidied = end
        if not _tidies.acquire(False):
            return
        try:
            fcntl.lockf(self._notes, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, notes.TIDY_AT)
        except OSError:
            pass  # another process is at it
        else:
            try:
                notes.tidy(self._notes, self._begin)
            finally:
                fcntl.lockf(self._notes, fcntl.LOCK_UN, 1, notes.TIDY_AT)
        finally:
            _tidies.release()


def _lock_of_service() -> bytes:
    """C's struct flock for the byte that the family's process holds a lock on."""
    import fcntl
    import struct

    return struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, notes.ALIVE_AT, 1, 0)


# Bytes of notes from this process after which they are tidied. A guess: some thousands of them.
_NOTES_KEPT = 1 << 20
_tidies = _thread.allocate_lock()
# The files behind names that are about to be registered.
_made: dict[str, tuple[int, int]] = {}


def _register_made(name: str, fd: int) -> None:
    """register() shared memory of which only this file may be removed."""
    _with_file(register, name, fd)


def _unregister_made(name: str, fd: int) -> None:
    """Takes that back, and nothing else that has the name."""
    _with_file(unregister, name, fd)


def _with_file(call: Callable[[str, str], object], name: str, fd: int) -> None:
    # Beside the call, since programs put functions with two arguments in its place.
    about = os.fstat(fd)
    _made[name] = (about.st_dev, about.st_ino)
    try:
        call(name, "shared_memory")
    finally:
        _made.pop(name, None)


def _message(cmd: str, name: str, rtype: str) -> bytes:
    message = f"{cmd}:{name}:{rtype}\n".encode(errors="surrogateescape")
    if len(message) > _LONGEST:
        raise ValueError(
            f"msg too long: the name of what is tracked has {len(name)} characters, "
            f"and a command of {len(message)} bytes is longer than {_LONGEST}"
        )
    return message


def _command(read: int) -> tuple[str | bytes, list[str | bytes]]:
    """The interpreter, and how it is told to be the tracker."""
    spawn: Any = sys.modules.get("forkful.spawn")  # if children have another interpreter
    exe = (spawn.get_executable() if spawn is not None else None) or sys.executable
    if getattr(sys, "frozen", False):
        # The program itself is started; those who freeze programs look for these words.
        return exe, [
            exe,
            "-c",
            f"from multiprocessing.resource_tracker import main;main({read})",
        ]
    # Nothing but the file itself is imported, whatever stands in the folder or in the environment.
    flags = ["-S", "-P"]
    if sys.flags.ignore_environment:
        flags.append("-E")
    # Those of classes that it would have to import are for others.
    flags += [f"-W{each}" for each in sys.warnoptions if "." not in each]
    code = (
        "import _frozen_importlib as b,_frozen_importlib_external as e;"
        f"b._load(e.spec_from_file_location('resource_tracker',{_PROGRAM!r})).main({read})"
    )
    return exe, [exe, *flags, "-c", code]


_trackers: weakref.WeakSet[ResourceTracker] = weakref.WeakSet()


def _forked() -> None:
    # Another thread of the parent's may have held them.
    global _tidies
    _tidies = _thread.allocate_lock()
    for each in _trackers:
        each._lock = _thread.RLock()
    _resource_tracker._let_go()  # or this child would seem to be the tracker


os.register_at_fork(after_in_child=_forked)

_resource_tracker = _FamilyTracker()
ensure_running = _resource_tracker.ensure_running
register = _resource_tracker.register
unregister = _resource_tracker.unregister
getfd = _resource_tracker.getfd
