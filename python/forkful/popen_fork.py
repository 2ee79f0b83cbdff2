"""A child made by fork, as its parent holds it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import atexit
import os
import select
import sys
import time

from forkful import _core, _fork
from forkful._child import ending, standard

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from forkful.process import BaseProcess

__all__ = ["Popen"]

_EVER = float("inf")
_HAS_ATEXIT_IN_CHILDREN = sys.version_info >= (3, 13)


class Popen:
    """A started child: its pid, its end, and a descriptor that tells of it."""

    method = "fork"
    pid: int
    sentinel: int
    _child: _core.Child

    def __init__(self, process_obj: BaseProcess) -> None:
        self.finalizer: object = None
        try:
            _fork.of_util("_flush_std_streams", _fork.flush_std_streams)()
        except OSError:
            if not process_obj._pool_worker:  # a pool replaces workers when nobody expects an error
                raise
        self._launch(process_obj)

    def _launch(self, process_obj: BaseProcess) -> None:
        """Start the child: sets pid, and makes the sentinel."""
        _fork.prepare_stdin()
        self.pid = _fork.fork(process_obj.daemon, process_obj._pool_worker, str(process_obj.name))
        if self.pid == 0:
            run(process_obj)
        self._watch(_core.started())

    @classmethod
    def adopt(cls, pid: int, member: int) -> Popen:
        """A child whose start a signal's handler has interrupted after the fork."""
        popen = cls.__new__(cls)
        popen.finalizer = None
        popen.pid = pid
        popen._watch(member)
        return popen

    def _watch(self, member: int) -> None:
        # Where no descriptor is left this ends the child: one that nobody can watch must not run.
        self._child = _core.Child(self.pid, member)
        self.sentinel = self._child.fileno()

    @property
    def returncode(self) -> int | None:
        """The exit code, as far as poll() or wait() has found it."""
        return self._child.returncode

    def duplicate_for_child(self, fd: int) -> int:
        """Under fork a child has every descriptor."""
        return fd

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, or None while it runs and in a process that is not its parent."""
        return self._child.poll()

    def ended(self) -> int | None:
        """As poll(), without giving back yet what the child held: touches no lock of the family."""
        return self._child.ended()

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, once it has ended; None when not within `timeout` seconds."""
        try:
            end = None if timeout is None else time.monotonic() + timeout
        except TypeError:
            kind = type(timeout).__name__
            raise TypeError(f"timeout must be a number of seconds or None, not {kind}") from None
        while (code := self._child.poll()) is None:
            left = _EVER if end is None else end - time.monotonic()
            if left <= 0:
                return None
            self._await_end(left)
        return code

    def _await_end(self, seconds: float) -> None:
        fd = self._child.fileno()
        if fd < 0:
            # The program has closed the descriptor, and there is no room for another one.
            time.sleep(min(seconds, 0.05))
            return
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        poller.poll(None if seconds == _EVER else min(int(seconds * 1000) + 1, 2**31 - 1))

    def send_signal(self, number: int) -> None:
        """Send a signal, if the child runs."""
        self._child.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, and SIGCONT in case the child is stopped."""
        self._child.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._child.send_signal(_signal.SIGKILL)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._child.send_signal(_signal.SIGINT)

    def close(self) -> None:
        """Close the sentinel."""
        self._child.close()


def run(process_obj: BaseProcess) -> NoReturn:
    """The whole life of a child that was forked."""

    def life() -> int:
        _core.after_start_in_child()
        return process_obj._bootstrap()

    live(life)


def live(life: Callable[[], int]) -> NoReturn:
    """Call what a child of a fork does, and end this process with its exit code."""
    code = 1
    try:
        if _HAS_ATEXIT_IN_CHILDREN:
            atexit._clear()
        ending.make_whole()
        standard.begin_child()
        try:
            code = life()
        finally:
            if _HAS_ATEXIT_IN_CHILDREN:
                atexit._run_exitfuncs()
        if not -(2**31) <= code < 2**31:
            raise OverflowError(f"no process can end with exit code {code}")
        code &= 0xFF
        _core.leave_family(code)
    except BaseException:
        # Nothing is imported for it: the child may have no right to read the library.
        sys.__excepthook__(*sys.exc_info())
        code = 1
    finally:
        os._exit(code)
