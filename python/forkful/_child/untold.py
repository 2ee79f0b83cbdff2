"""What all workers of a pool fail with is said once: by the first of them."""

from __future__ import annotations

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Untold"]

_PATIENCE = 5  # seconds in which a traceback is written, unless nobody reads


class Untold:
    """A failure that is still to be said, by one of the processes that share this."""

    def __init__(self) -> None:
        self._permit = _core.Semaphore(1)
        self._said = _core.Event()

    def say(self, how: Callable[[], object]) -> None:
        """Call how() in the first process that comes here.

        The others wait for that, since the first worker that ends may have all others ended.
        """
        if not self._permit.acquire(False):
            self._said.wait(_PATIENCE)
            return
        try:
            how()
        finally:
            self._said.set()

    def was_said(self) -> bool:
        return self._permit.get_value() == 0

    def renew(self) -> None:
        """What fails after this is another failure."""
        if self.was_said():
            self._said.clear()
            self._permit.release()
