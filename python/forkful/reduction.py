"""How objects become bytes: by the rules of pickle, with a table of our own.

Messages are written by bindings/object_writer.hpp, which uses the tables here and in copyreg; the
pickler here writes what goes another way, and whatever that one leaves to it.
"""

from __future__ import annotations

import _pickle
import copyreg
import functools
import io
import types

from forkful import _core
from forkful._handlers import is_from_handler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ForkingPickler", "dump", "register"]

_PROTOCOL = 5


class ForkingPickler(_pickle.Pickler):
    """A pickler whose table register() extends.

    Differs from multiprocessing: dumps() returns bytes, in pickle protocol 5.
    """

    _extra_reducers: dict[type, Callable[[Any], Any]] = {}
    _copyreg_dispatch = copyreg.dispatch_table

    def __init__(self, file: Any, protocol: int | None = None) -> None:
        super().__init__(file, _PROTOCOL if protocol is None else protocol)
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
    return functools.partial(func, *args, **keywords)


register(types.MethodType, _reduce_method)
register(functools.partial, _reduce_partial)

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
