"""Whose an exception is that comes while others' results are read, or arguments or items pickled.

What a signal's handler raises there is for whoever made the call that it has interrupted; anything
else belongs to the value that was read or written.
"""

from __future__ import annotations

import _functools  # type: ignore[import-not-found]
import _signal  # type: ignore[import-not-found]

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

__all__ = ["is_from_handler"]

# As functools has it, whose import takes 2 ms.
_partial = _functools.partial

_HAS_REST = 0x04  # of co_flags: the function has *args


def is_from_handler(error: BaseException) -> bool:
    """Whether a signal's handler has raised it: its traceback leads through one.

    A handler shows by its code; one that has been replaced since, by its arguments. Those that are
    not written in Python are not known.
    """
    trace = error.__traceback__
    codes = None
    while trace is not None:
        frame = trace.tb_frame
        if codes is None:
            codes = {_code_of(_signal.getsignal(number)) for number in _signal.valid_signals()}
        if frame.f_code in codes or _was_interrupted_by(frame):
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: Any) -> object:
    while isinstance(handler, _partial):
        handler = handler.func
    if not isinstance(handler, _FUNCTIONS):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004
    return getattr(handler, "__code__", None)  # of a method, that of its function


# Functions and methods of theirs, as the module types has them.
_FUNCTIONS = type(_code_of), type(_code_of.__get__(""))


def _was_interrupted_by(frame: FrameType) -> bool:
    """The interpreter calls a handler with the signal's number and the frame that it interrupts."""
    code = frame.f_code
    names = code.co_varnames
    values = [frame.f_locals.get(name) for name in names[: code.co_argcount]]
    if code.co_flags & _HAS_REST:
        values += frame.f_locals.get(names[code.co_argcount + code.co_kwonlyargcount], ())
    return any(
        value is frame.f_back and isinstance(values[i - 1], int)
        for i, value in enumerate(values)
        if i > 0 and value is not None
    )
