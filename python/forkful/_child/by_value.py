"""Pickles by value: of what a main module defines, for who does not run it, and of lambdas."""

from __future__ import annotations

from types import FunctionType

from forkful import reduction

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps", "dumps_unnamed"]

_MAIN = ("__main__", "__mp_main__")


class _OfMain(Exception):
    """What is pickled has something that the main module defines."""


class _Looking(reduction.ForkingPickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType | type) and obj.__module__ in _MAIN:
            raise _OfMain
        return NotImplemented


def dumps(obj: Any) -> bytes:
    """The pickle of `obj` for a process that does not run the main module.

    Only where it has something of that, cloudpickle is imported.

    Raises:
        Exception: What pickling raises.
    """
    from io import BytesIO

    buffer = BytesIO()
    try:
        _Looking(buffer).dump(obj)
        return buffer.getvalue()
    except _OfMain:
        return dumps_unnamed(obj)


def dumps_unnamed(obj: Any) -> bytes:
    """The pickle of a function without a name, or of what has such: by cloudpickle.

    Raises:
        ImportError: There is none.
        Exception: What pickling raises.
    """
    from io import BytesIO

    try:
        from cloudpickle import CloudPickler
    except ImportError as error:
        raise ImportError(
            "lambdas and inner functions, and what a main module defines that children do not run "
            "(of -c, a prompt, a notebook), are sent by cloudpickle, which is not installed: "
            "pip install cloudpickle"
        ) from error
    buffer = BytesIO()
    # In a subclass: the table that counts is the one that the class has when a pickler is made.
    table = CloudPickler.dispatch_table.new_child(dict(reduction.ForkingPickler._extra_reducers))
    pickler = type("Pickler", (CloudPickler,), {"dispatch_table": table})
    pickler(buffer, 5).dump(obj)
    return buffer.getvalue()
