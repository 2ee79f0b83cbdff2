"""How objects become bytes: by the rules of pickle, with a table of our own.

Messages are written by bindings/object_writer.hpp, which uses the tables here and in copyreg; the
pickler here writes what goes another way, and whatever that one leaves to it.
"""

from __future__ import annotations

import _functools  # type: ignore[import-not-found]
import _pickle
import copyreg
import io
import sys

from forkful import _core
from forkful._handlers import is_from_handler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import functools
    import pickle as pickle
    from collections.abc import Callable
    from typing import Any

    from forkful._handles import ACKNOWLEDGE as ACKNOWLEDGE
    from forkful._handles import HAVE_SEND_HANDLE as HAVE_SEND_HANDLE
    from forkful._handles import AbstractReducer as AbstractReducer
    from forkful._handles import DupFd, recv_handle, recvfds, send_handle, sendfds
    from forkful._handles import rebuild_socket as _rebuild_socket  # noqa: F401
    from forkful._handles import reduce_socket as _reduce_socket  # noqa: F401

__all__ = [
    "DupFd",
    "ForkingPickler",
    "dump",
    "recv_handle",
    "recvfds",
    "register",
    "send_handle",
    "sendfds",
]

_PROTOCOL = 5
_ATOMS = frozenset({int, float, bool, str, bytes, type(None)})


class ForkingPickler(_pickle.Pickler):
    """A pickler whose table register() extends.

    Differs from multiprocessing: dumps() returns bytes, in pickle protocol 5.
    """

    _extra_reducers: dict[type, Callable[[Any], Any]] = {}
    _copyreg_dispatch = copyreg.dispatch_table

    def __init__(self, file: Any, protocol: int | None = None) -> None:
        super().__init__(file, _PROTOCOL if protocol is None else protocol)
        if "socket" in sys.modules and "forkful._handles" not in sys.modules:
            _handles()  # where they are registered; the engine does so, too
        self.dispatch_table = {**self._copyreg_dispatch, **self._extra_reducers}

    @classmethod
    def register(cls, type: type, reduce: Callable[[Any], Any]) -> None:
        """Use `reduce` for objects of exactly this type."""
        cls._extra_reducers[type] = reduce

    @classmethod
    def dumps(cls, obj: Any, protocol: int | None = None) -> bytes:
        """The pickle of `obj`. Queues, locks and values that it names live until the family ends.

        Raises:
            Exception: What pickling raises.
        """
        if type(obj) in _ATOMS and cls is ForkingPickler:
            # No table is asked for these, and to make a pickler takes longer than their pickle.
            return _pickle.dumps(obj, _PROTOCOL if protocol is None else protocol)
        buffer = io.BytesIO()
        cls(buffer, protocol).dump(obj)
        return buffer.getvalue()

    loads = staticmethod(_pickle.loads)


register = ForkingPickler.register


def dump(obj: Any, file: Any, protocol: int | None = None) -> None:
    """Write the pickle of `obj` to a binary file.

    Raises:
        Exception: What pickling raises, or writing.
    """
    ForkingPickler(file, protocol).dump(obj)


def _reduce_method(method: Any) -> Any:
    if method.__self__ is None:
        return getattr, (method.__class__, method.__func__.__name__)
    return getattr, (method.__self__, method.__func__.__name__)


def _reduce_partial(partial: functools.partial[Any]) -> Any:
    return _rebuild_partial, (partial.func, partial.args, partial.keywords or {})


def _rebuild_partial(func: Any, args: Any, keywords: Any) -> Any:
    return _functools.partial(func, *args, **keywords)


def _reduce_method_descriptor(method: Any) -> Any:
    # Not registered: pickle does so itself.
    return getattr, (method.__objclass__, method.__name__)


register(type(ForkingPickler.dumps), _reduce_method)
register(_functools.partial, _reduce_partial)


def use_pickler(pickler: Any) -> None:
    """Have what queues and pools send written and read by another class than ForkingPickler.

    Args:
        pickler: A class with dumps(object), which returns bytes or what has their interface, and
            mostly loads(bytes).
    """
    _core.use_pickler(
        pickler.dumps, getattr(pickler, "loads", _pickle.loads), pickler is not ForkingPickler
    )


# What comes with sockets, which most programs do not use; the names that it has there.
_LATE = {
    "ACKNOWLEDGE": "ACKNOWLEDGE",
    "AbstractReducer": "AbstractReducer",
    "DupFd": "DupFd",
    "HAVE_SEND_HANDLE": "HAVE_SEND_HANDLE",
    "_rebuild_socket": "rebuild_socket",
    "_reduce_socket": "reduce_socket",
    "recv_handle": "recv_handle",
    "recvfds": "recvfds",
    "send_handle": "send_handle",
    "sendfds": "sendfds",
}


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> object:
        if name == "pickle":  # programs reach for it here
            return __import__("pickle")
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_handles(), _LATE[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})


def _handles() -> Any:
    # It is a user of this module.
    return __import__("forkful._handles", fromlist=("_handles",))


_core.set_pickle(
    ForkingPickler.dumps,
    _pickle.loads,
    ForkingPickler._extra_reducers,
    copyreg.dispatch_table,
    copyreg.__newobj__,  # type: ignore[attr-defined]
    copyreg.__newobj_ex__,  # type: ignore[attr-defined]
    copyreg._slotnames,  # type: ignore[attr-defined]
    is_from_handler,
)
