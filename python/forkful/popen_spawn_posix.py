"""A child made by spawn, as its parent holds it."""

from __future__ import annotations

import os

from forkful import _core, _refusals, context, popen_fork, reduction, spawn, util
from forkful._child import letter, standard, starting
from forkful._child.descriptors import file_of

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from forkful.process import BaseProcess

__all__ = ["Popen"]


class _DupFd:
    """A descriptor that a child is handed."""

    def __init__(self, fd: int) -> None:
        self._number = fd

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on."""
        return self._number


class Popen(popen_fork.Popen):
    """A child that is a new interpreter.

    Attributes:
        _fds: The descriptors that it is handed, under their own numbers.
    """

    method = "spawn"
    DupFd = _DupFd

    def duplicate_for_child(self, fd: int) -> int:
        """Hand the child a descriptor; the number that it has there."""
        self._fds.append(fd)
        return fd

    def _pickle(self, process_obj: BaseProcess) -> tuple[list[bytes], object]:
        """The two pickles of a letter, and what holds what they name."""
        data = spawn.get_preparation_data(process_obj._name)
        if process_obj._pool_worker and "_untold" in vars(process_obj):
            data["untold"] = vars(process_obj).pop("_untold")
        reducer: Any = context.default_context.reducer
        write = reducer.dump if spawn.runs_main(data) else _write_by_value

        def pickle_both() -> list[bytes]:
            from io import BytesIO

            # Before the rest, as another program may have added what unpickling it depends on.
            parts = [BytesIO(), BytesIO()]
            reducer.dump(data, parts[0])
            try:
                write(process_obj, parts[1])
            except Exception as error:
                _refusals.note_start(error, process_obj, lambda part: write(part, BytesIO()))
                raise
            return [bytes(part.getbuffer()) for part in parts]

        for kind, reduce in standard.reducers():
            reduction.ForkingPickler._extra_reducers.setdefault(kind, reduce)
        try:
            for set_spawning_popen in starting.set_spawning_popen, standard.set_spawning_popen:
                set_spawning_popen(self)
            return _core.gather(pickle_both)
        finally:
            standard.set_spawning_popen(None)
            starting.set_spawning_popen(None)

    def _launch(self, process_obj: BaseProcess) -> None:
        self._fds: list[int] = []
        pickles, named = self._pickle(process_obj)
        name = str(process_obj.name).encode(errors="replace")
        self._begin((process_obj.daemon, process_obj._pool_worker, name), pickles, named)

    def _begin(self, plan: tuple[bool, bool, bytes], pickles: list[bytes], named: object) -> None:
        """Start the child that the pickles are for; `named` holds what they name until then."""
        member, ticket, descriptors, kept = _core.invite(*plan, named)
        _core.take_executed()  # what this thread has executed before is no child of this start
        try:
            self._start(member, ticket, list(descriptors), pickles)
        except BaseException:
            self._undo(member)
            raise
        del kept

    def _start(
        self, member: int, ticket: str, descriptors: list[int], pickles: list[bytes]
    ) -> None:
        tracker_fd = self._tracker_fd()
        passed = [*self._fds] if tracker_fd is None else [*self._fds, tracker_fd]
        letter_fd = letter.write(ticket, passed, pickles)
        try:
            self._fds = [letter_fd, *descriptors, *passed]
            command = self._command(letter_fd, tracker_fd)
            self.pid = util.spawnv_passfds(command[0], command, self._fds)
        finally:
            os.close(letter_fd)
        self._watch(member)
        _core.take_executed()

    def _command(self, letter_fd: int, tracker_fd: int | None) -> list[bytes | str]:
        return spawn.get_command_line(tracker_fd=tracker_fd, pipe_handle=letter_fd)

    @staticmethod
    def _tracker_fd() -> int | None:
        """Where a program's own resource tracker listens, if it has started one."""
        import sys

        module: Any = sys.modules.get("forkful.resource_tracker")
        tracker = getattr(module, "_resource_tracker", None)
        fd: int | None = getattr(tracker, "_fd", None)
        # A program may have put a tracker of its own there, and may have closed this one's pipe.
        is_own = getattr(tracker, "_owns_fd", lambda: True)
        return fd if fd is not None and file_of(fd) and is_own() else None

    def _undo(self, member: int) -> None:
        """After a start that was left by an exception no child runs, and nothing is reserved."""
        pid = _core.take_executed()
        if pid == 0:
            _core.withdraw(member)
        self._end(member, pid)

    def _end(self, member: int, pid: int) -> None:
        if pid == 0:
            return
        if not hasattr(self, "_child"):
            self.pid = pid
            self._child = _core.Child(pid, member)
        self._child.send_signal(9)
        while self._child.poll() is None:
            self._await_end(1)


def _write_by_value(obj: object, file: BinaryIO) -> None:
    """Write a pickle for a child that does not run this process's main module."""
    from forkful._child.by_value import dumps

    file.write(dumps(obj))
