"""Pickles for processes that do not run the main module: what it defines travels by value."""

from __future__ import annotations

from types import FunctionType

from forkful import reduction

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps"]

_MAIN = ("__main__", "__mp_main__")


class _OfMain(Exception):
    """What is pickled has something that the main module defines."""


class _Looking(reduction.ForkingPickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType | type) and obj.__module__ in _MAIN:
            raise _OfMain
        return NotImplemented


def dumps(obj: Any) -> bytes:
    """The pickle of `obj`. Only where it has something of the main module, cloudpickle is imported.

    Raises:
        Exception: What pickling raises.
    """
    from io import BytesIO

    buffer = BytesIO()
    try:
        _Looking(buffer).dump(obj)
        return buffer.getvalue()
    except _OfMain:
        pass
    try:
        from cloudpickle import CloudPickler
    except ImportError as error:
        raise ImportError(
            "functions and classes of a main module that children do not run (of -c, a prompt, a "
            "notebook) are sent by cloudpickle, which is not installed"
        ) from error
    buffer = BytesIO()
    pickler = CloudPickler(buffer, 5)
    pickler.dispatch_table = pickler.dispatch_table.new_child(
        dict(reduction.ForkingPickler._extra_reducers)
    )
    pickler.dump(obj)
    return buffer.getvalue()
