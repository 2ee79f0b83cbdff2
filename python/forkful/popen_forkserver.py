"""A child made by the fork server, as its parent holds it."""

from __future__ import annotations

import os

from forkful import _core, forkserver, popen_spawn_posix
from forkful._child import letter, prologue

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from forkful.process import BaseProcess

__all__ = ["Popen"]

_MOST_DESCRIPTORS = 250  # with those of the family and the letter, as many as one message takes


class _DupFd:
    """A descriptor that a child is handed, by its index."""

    def __init__(self, ind: int) -> None:
        self._index = ind

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on."""
        inherited = forkserver.get_inherited_fds()
        assert inherited is not None, "only a child of a fork server is handed descriptors so"
        return inherited[self._index]


class Popen(popen_spawn_posix.Popen):
    """A child of this process that its fork server has forked.

    Attributes:
        _fds: The descriptors that it is handed.
        _module: Of this package, and what the child runs is in it; or nothing.
    """

    method = "forkserver"
    DupFd = _DupFd  # type: ignore[assignment]

    def duplicate_for_child(self, fd: int) -> int:
        """Hand the child a descriptor; the index that it has there."""
        super().duplicate_for_child(fd)
        return len(self._fds) - 1

    def _launch(self, process_obj: BaseProcess) -> None:
        target = getattr(process_obj, "_target", None)
        module = str(getattr(target, "__module__", "")).encode(errors="replace")
        self._module = module if module.startswith(b"forkful.") and len(module) < 100 else b""
        try:
            # The second attempt is for a server that was killed meanwhile.
            try:
                super()._launch(process_obj)
            except forkserver.ServerEnded:
                super()._launch(process_obj)
        except forkserver.CannotClone:
            self._spawn(process_obj)

    def _spawn(self, process_obj: BaseProcess) -> None:
        """Start the child as spawn does: a copy of the server would lack the server's threads."""
        other = popen_spawn_posix.Popen(process_obj)
        self.pid, self.sentinel, self._child = other.pid, other.sentinel, other._child

    def _start(
        self, member: int, ticket: str, descriptors: list[int], pickles: list[bytes]
    ) -> None:
        if len(self._fds) > _MOST_DESCRIPTORS:
            raise ValueError("too many fds")
        letter_fd = letter.write(ticket, self._fds, pickles, prologue.is_installed())
        try:
            self.pid = forkserver.start_child([letter_fd, *descriptors, *self._fds], self._module)
        finally:
            os.close(letter_fd)
        self._watch(member)
        forkserver.forget_child()

    def _undo(self, member: int) -> None:
        """After a start that was left by an exception no child runs, and nothing is reserved."""
        # One that the server has forked is this process's; it has begun, or never will.
        self._end(member, forkserver.forget_child() or _core.withdraw(member))
