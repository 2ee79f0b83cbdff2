"""What a worker sends in place of a result: the exception, with the traceback that it had there."""

from __future__ import annotations

from forkful._pool import results

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ExceptionWithTraceback", "RemoteTraceback", "decode_error", "encode_error"]


class RemoteTraceback(Exception):
    """The traceback that an exception had in the worker."""

    def __init__(self, tb: str) -> None:
        self.tb = tb

    def __str__(self) -> str:
        return self.tb


def _with_cause(error: BaseException, text: str) -> BaseException:
    # Past the class, which may refuse attributes.
    BaseException.__setattr__(error, "__cause__", RemoteTraceback(text))
    return error


class ExceptionWithTraceback:
    """An exception that takes its traceback along as text when it is pickled."""

    def __init__(self, exc: BaseException, tb: TracebackType | None) -> None:
        self.exc = exc
        self.tb = '\n"""\n' + results.traceback_text(exc, tb) + '"""'
        self.exc.__traceback__ = None  # what its frames hold is not wanted any more

    def __reduce__(self) -> tuple[object, ...]:
        return _with_cause, (self.exc, self.tb)


def encode_error(error: BaseException, result: object = None) -> bytes:
    """An exception as bytes that always can be read.

    Args:
        result: What could not be pickled, if `error` says so of the result of a call.
    """
    if result is not None:
        error.add_note(f"forkful: the call has returned it, a {type(result).__name__}")
    return results.encode_error(error)


def decode_error(data: bytes) -> BaseException:
    """What a worker has sent; nothing at all for a call that was cancelled just before it began."""
    if not data:
        from concurrent.futures._base import CancelledError

        return CancelledError()
    return results.decode_error(data, RemoteTraceback)


RemoteTraceback.__module__ = ExceptionWithTraceback.__module__ = "forkful.futures"
RemoteTraceback.__name__ = RemoteTraceback.__qualname__ = "_RemoteTraceback"
ExceptionWithTraceback.__name__ = "_ExceptionWithTraceback"
ExceptionWithTraceback.__qualname__ = "_ExceptionWithTraceback"
