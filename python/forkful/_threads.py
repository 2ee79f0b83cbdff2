"""Threads that look like processes: what dummy, and pools of threads, start."""

from __future__ import annotations

import threading
import weakref

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = ["DummyProcess", "active_children", "children_of_current"]

# By thread: what it has started. A thread that is gone is not in it, and forgets its children.
_children: weakref.WeakKeyDictionary[
    threading.Thread, weakref.WeakKeyDictionary[threading.Thread, None]
] = weakref.WeakKeyDictionary()


def children_of_current() -> weakref.WeakKeyDictionary[threading.Thread, None]:
    """The threads that this one has started as processes."""
    return _children.setdefault(threading.current_thread(), weakref.WeakKeyDictionary())


def active_children() -> list[threading.Thread]:
    """Those of them that run."""
    children = children_of_current()
    for child in list(children):
        if not child.is_alive():
            children.pop(child, None)
    return list(children)


class DummyProcess(threading.Thread):
    """A thread with what programs use of a Process.

    Args:
        group, target, name, args, kwargs: As for threading.Thread.
    """

    _pid = None
    _popen = None

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(group, target, name, args, kwargs)
        self._children: weakref.WeakKeyDictionary[threading.Thread, None] = (
            weakref.WeakKeyDictionary()
        )
        _children[self] = self._children
        self._parent = threading.current_thread()
        self._start_called = False

    def start(self) -> None:
        """Start the thread, once, and in the thread that made it.

        Raises:
            RuntimeError: It was started already, another thread made it, or the system has no room.
        """
        if self._parent is not threading.current_thread():
            raise RuntimeError(
                f"{self.name} was made by {self._parent!r}, which alone can start it, "
                f"not {threading.current_thread()!r}"
            )
        super().start()
        self._start_called = True
        children_of_current()[self] = None

    @property
    def exitcode(self) -> int | None:
        """0 when it has ended; None while it runs, and before."""
        return 0 if self._start_called and not self.is_alive() else None
