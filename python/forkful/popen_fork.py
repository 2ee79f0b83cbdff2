"""A child made by fork, as its parent holds it."""

from __future__ import annotations

import os
import select
import signal
import threading

from forkful import _core, util

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from forkful.process import BaseProcess

__all__ = ["Popen"]


class Popen:
    """A started child: its pid, its end, and a descriptor that tells of it."""

    method = "fork"

    def __init__(self, process_obj: BaseProcess) -> None:
        util._flush_std_streams()
        self.returncode: int | None = None
        self._member = 0
        self._lock = threading.Lock()
        _core.before_start(process_obj.daemon, getattr(process_obj, "_pool_worker", False))
        try:
            self.pid = util._fork(warns=not getattr(process_obj, "_pool_worker", False))
        except OSError:
            _core.process_ended(_core.started())
            raise
        if self.pid == 0:
            code = 1
            try:
                _core.after_start_in_child()
                code = process_obj._bootstrap()
                _core.leave_family()
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        self._member = _core.started()
        try:
            self.sentinel = os.pidfd_open(self.pid)
        except OSError:
            # No descriptor is left: a child that nobody can watch must not run.
            self.kill()
            self.poll(0)
            raise
        self._close_sentinel = util.Finalize(self, os.close, (self.sentinel,))

    def duplicate_for_child(self, fd: int) -> int:
        """Under fork a child has every descriptor."""
        return fd

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, or None while it runs."""
        code = self.ended()
        if code is not None and self._member:
            member, self._member = self._member, 0
            _core.process_ended(member)
        return code

    def ended(self) -> int | None:
        """As poll(), without giving back yet what the child held: touches no lock of the family."""
        # Two threads that waited for one process would each find the other's exit code gone.
        with self._lock:
            return self._poll() if self.returncode is None else self.returncode

    def _poll(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Somebody else has waited for it, and its exit code is lost.
            if not select.select([self.sentinel], [], [], 0)[0]:
                return None
            pid, status = self.pid, 255 << 8
        if pid == self.pid:
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, once it has ended; None when not within `timeout` seconds."""
        if self.returncode is not None:
            return self.returncode
        poller = select.poll()
        poller.register(self.sentinel, select.POLLIN)
        if not poller.poll(None if timeout is None else max(0, timeout) * 1000):
            return None
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, if the child runs."""
        if self.ended() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the sentinel."""
        self._close_sentinel()
