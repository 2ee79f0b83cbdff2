"""Finalizers, and the end of a process, at which those with a priority run."""

from __future__ import annotations

import _weakref
import itertools
import os
import time

from forkful import _core, _log
from forkful._child.ending import print_error

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from forkful.process import BaseProcess

__all__ = ["Finalize", "exit_function", "is_exiting", "reset_in_child", "run_finalizers"]

registry: dict[tuple[int | None, int], Finalize] = {}
_order = itertools.count()


class Finalize:
    """Call `callback` once: when `obj` dies, when called, or at exit where it has a priority.

    Args:
        obj: The object to watch, or None.
        exitpriority: At exit higher ones run first; None: not at exit.
    """

    def __init__(
        self,
        obj: Any,
        callback: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        exitpriority: int | None = None,
    ) -> None:
        if exitpriority is not None and not isinstance(exitpriority, int):
            raise TypeError(
                f"Exitpriority ({exitpriority!r}) must be None or int, not {type(exitpriority)!s}"
            )
        if obj is None and exitpriority is None:
            raise ValueError("Without object, exitpriority cannot be None")
        self._weakref = _weakref.ref(obj, self) if obj is not None else None
        self._call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None = (
            callback,
            args,
            kwargs or {},
        )
        self._key = (exitpriority, next(_order))
        self._pid = os.getpid()
        registry[self._key] = self

    # Why defaults: what dies last at the interpreter's end finds this module's globals gone.
    def __call__(
        self,
        wr: object = None,
        *,
        _registry: dict[tuple[int | None, int], Finalize] = registry,
        _getpid: Callable[[], int] = os.getpid,
        _tell: Callable[..., None] = _log.sub_debug,
    ) -> Any:
        """Run the callback unless that has happened, or happened to be due in another process."""
        if _registry.pop(self._key, None) is None or self._call is None:
            _tell("finalizer no longer registered")
            return None
        callback, args, kwargs = self._call
        self._call = self._weakref = None
        if self._pid != _getpid():
            _tell("finalizer ignored because different process")
            return None
        _tell("finalizer calling %s with args %s and kwargs %s", callback, args, kwargs)
        return callback(*args, **kwargs)

    def cancel(self) -> None:
        """Forget the callback."""
        if registry.pop(self._key, None) is not None:
            self._call = self._weakref = None

    def still_active(self) -> bool:
        """Whether the callback is still to come."""
        return self._key in registry

    def __repr__(self) -> str:
        if self._call is None:
            return f"<{type(self).__name__} object, dead>"
        return f"<{type(self).__name__} object, callback={self._call[0]!r}>"


def run_finalizers(minpriority: int | None = None) -> None:
    """Run finalizers of at least that priority, the highest first, later ones before earlier."""
    if not registry:
        return

    def due(key: tuple[int | None, int]) -> bool:
        return key[0] is not None and (minpriority is None or key[0] >= minpriority)

    keys = sorted((k for k in list(registry) if due(k)), reverse=True)
    for key in keys:
        finalizer = registry.get(key)
        if finalizer is None:
            continue
        _log.sub_debug("calling %s", finalizer)
        try:
            finalizer()
        except Exception:
            print_error()
    if minpriority is None:
        registry.clear()


# --- the end ---

_exiting = False
_GRACE = 2  # seconds that a daemon has to end when it is asked to

# A program that ends itself so has not died: what it started lives on.
os._exit = _core._exit


def is_exiting() -> bool:
    """Whether this process is on its way out."""
    return _exiting


def exit_function(active_children: Callable[[], list[BaseProcess]]) -> None:
    """Run finalizers, end daemonic children, wait for the others. Once in a process."""
    global _exiting
    if _exiting:
        return
    _exiting = True
    _log.info("process shutting down")
    _log.debug('running all "atexit" finalizers with priority >= 0')
    run_finalizers(0)
    children = active_children()
    for child in list(children):
        if child.daemon:
            _log.info("calling terminate() for daemon %s", child.name)
            try:
                child.terminate()
            except PermissionError:
                # This process has changed its user; the daemon goes when it is gone.
                children.remove(child)
    end = time.monotonic() + _GRACE
    for child in children:
        _log.info("calling join() for process %s", child.name)
        if child.daemon:
            child.join(max(0, end - time.monotonic()))
            child.kill()
        child.join()
    _log.debug('running the remaining "atexit" finalizers')
    run_finalizers()


def reset_in_child() -> None:
    """A forked child is not on its way out, and its parent's finalizers are not its own."""
    global _exiting
    _exiting = False
    registry.clear()
