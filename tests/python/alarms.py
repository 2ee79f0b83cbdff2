"""Signals that interrupt a test's main thread after a while."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from types import FrameType


class Alarm:
    """Calls functions in the main thread, each once, from the handler of a signal.

    The signal comes again and again until the handler is called: Python does not hear of one that
    comes just before it sleeps in a system call. The time-outs of pytest-timeout use the same
    timer; they go on with the time they had left whenever none is set here.
    """

    def __enter__(self) -> Alarm:
        self._function: Callable[[], object] | None = None
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        self._deadline_before = time.monotonic() + left if left else math.inf
        # It stays: a signal may be under way, in another thread, when the timer is stopped.
        self._handler_before = signal.signal(signal.SIGALRM, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def after(self, seconds: float, function: Callable[[], object]) -> None:
        """Call the function then. It may raise, and it may set the next one."""
        self._function = function
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.02)

    def stop(self) -> None:
        self._function = None
        left = max(0.001, self._deadline_before - time.monotonic())
        signal.setitimer(signal.ITIMER_REAL, left if left < math.inf else 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        function = self._function
        if function is not None:
            self.stop()
            function()
        elif time.monotonic() >= self._deadline_before and callable(self._handler_before):
            self._handler_before(number, frame)
