"""What a pool's tasks come to: results, and exceptions on their way back."""

from __future__ import annotations

import _pickle
import os
from _collections_abc import Callable
from abc import ABCMeta

from forkful import _core, reduction
from forkful._child import ending
from forkful._handlers import is_from_handler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeVar

    _T = TypeVar("_T")
else:
    _T = None  # what stands in the brackets says nothing when the program runs

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "RemoteTraceback",
    "decode_error",
    "decode_plain_error",
    "encode_error",
]


class RemoteTraceback(Exception):
    """The traceback that an exception had in the worker."""

    def __init__(self, tb: str) -> None:
        self.tb = tb

    def __str__(self) -> str:
        return self.tb


class MaybeEncodingError(Exception):
    """A result or an exception could not be sent."""

    def __init__(self, exc: object, value: object) -> None:
        self.exc = exc if isinstance(exc, str) else repr(exc)
        self.value = value if isinstance(value, str) else repr(value)
        self.remedy = ""
        super().__init__(self.exc, self.value)

    def __str__(self) -> str:
        remedy = f". Remedy: {self.remedy}" if self.remedy else ""
        return f"Error sending result: '{self.value}'. Reason: '{self.exc}'{remedy}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


def traceback_text(error: BaseException, trace: TracebackType | None) -> str:
    """What the interpreter prints of an exception with that traceback.

    A worker imports what this needs at its first exception, which takes 6 ms. Where it cannot (it
    has changed its root or its user, it has no memory left, or another thread of its parent was
    importing when it was forked), less is told.
    """
    try:
        if ending.can_print_tracebacks():
            import traceback

            return "".join(traceback.format_exception(type(error), error, trace))
    except Exception:
        pass
    return _plain_text(error, trace)


_MOST_FRAMES = 50  # of a plain text, from the last one on


def _plain_text(error: BaseException, trace: TracebackType | None) -> str:
    lines = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines.append(
            f"{type(cause).__qualname__}: {_safe(str, cause)}\n\nAfter that exception:\n\n"
        )
    lines.append("Traceback (most recent call last):\n")
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n')
        trace = trace.tb_next
    lines += frames[-_MOST_FRAMES:]
    lines.append(f"{type(error).__qualname__}: {_safe(str, error)}\n")
    lines += [f"{_safe(str, note)}\n" for note in getattr(error, "__notes__", ())]
    return "".join(lines)


def encode_error(error: BaseException, result: object = None) -> bytes:
    """An exception as bytes that always can be read: text, and inside its pickle."""
    if result is not None:
        unsent = MaybeEncodingError(error, _safe_repr(result))
        unsent.remedy = "return what can be pickled: data, or functions and classes of a module"
        error = unsent.with_traceback(error.__traceback__)
    text = traceback_text(error, error.__traceback__)
    try:
        inner = reduction.ForkingPickler.dumps(error)
    except BaseException as reason:
        unsent = MaybeEncodingError(reason, _safe_repr(error))
        unsent.remedy = "an exception with attributes that can be pickled, or a __reduce__() for it"
        inner = _pickle.dumps(unsent)
    return _pickle.dumps((text, _safe_repr(error), inner))


def _safe_repr(value: object) -> str:
    return _safe(repr, value)


def _safe(text_of: Callable[[object], str], value: object) -> str:
    try:
        return text_of(value)
    except BaseException as error:
        name = text_of.__name__
        return f"<{type(value).__name__}, whose {name} raised {type(error).__name__}>"


def decode_error(
    data: bytes,
    cause: Callable[[str], Exception] = RemoteTraceback,
) -> BaseException:
    """What encode_error() has made bytes of; `cause` makes its __cause__ of the traceback."""
    text, shown, inner = _pickle.loads(data)
    try:
        error: BaseException = _pickle.loads(inner)
        if not isinstance(error, BaseException):
            raise TypeError(f"{error!r} is no exception")
    except KeyboardInterrupt:
        raise  # not the worker's: somebody has pressed Ctrl-C here
    except BaseException as reason:
        if is_from_handler(reason):
            raise
        unread = MaybeEncodingError(reason, shown)
        if not isinstance(reason, ImportError | AttributeError):
            unread.remedy = (
                "an exception is rebuilt by calling its class with what super().__init__() was "
                "given: pass all arguments there, or define __reduce__()"
            )
        error = unread
    # Past the class, which may refuse attributes.
    BaseException.__setattr__(error, "__cause__", cause(f'\n"""\n{text}"""'))
    return error


def decode_plain_error(data: bytes) -> BaseException:
    """As decode_error(), without the traceback."""
    error = decode_error(data)
    BaseException.__setattr__(error, "__cause__", None)
    return error


# Why ABCMeta: the results of a pool of threads count as of these classes.
class ApplyResult(_core.Job[_T], metaclass=ABCMeta):
    """A result that may not be there yet: get(), wait(), ready(), successful()."""

    _callback: Callable[[_T], object] | None
    _error_callback: Callable[[BaseException], object] | None

    def _call_back(self) -> None:
        error = self._error
        caller = os.getpid()
        try:
            if error is None and self._callback is not None:
                self._callback(self._value)
            elif error is not None and self._error_callback is not None:
                self._error_callback(error)
        except BaseException as raised:  # SystemExit too: the thread has others' callbacks to run
            if os.getpid() != caller:
                ending.end_forked(raised)
            ending.print_error()
        finally:
            if os.getpid() != caller:
                ending.end_forked(None)
            self._finish()


AsyncResult = ApplyResult


class MapResult(ApplyResult[list[_T]]):
    """The result of map_async() or starmap_async(): a list."""


class IMapIterator(_core.JobIterator[_T], metaclass=ABCMeta):
    """The results of imap(), in the order of its input."""

    def next(self, timeout: float | None = None) -> _T:
        """The next result; the next call gives the one after it.

        Args:
            timeout: In seconds; by default it waits for as long as it takes.
        Raises:
            StopIteration: All results were given.
            TimeoutError: It was not there in time. It may be asked for again.
            Exception: What came instead of this result, as for Pool.apply().
        """
        return self._next(timeout)


class IMapUnorderedIterator(IMapIterator[_T]):
    """The results of imap_unordered(), as they come."""


# Their place, for tracebacks and pickles, is where programs find them.
for _each in (
    ApplyResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    RemoteTraceback,
):
    _each.__module__ = "forkful.pool"
