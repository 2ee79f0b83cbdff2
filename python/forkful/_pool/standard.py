"""What the standard pool is made of, as programs take it from there; ours has no use of it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

from forkful import _errors
from forkful._pool.results import MaybeEncodingError, RemoteTraceback

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ExceptionWithTraceback",
    "TimeoutError",
    "helper_reraises_exception",
    "job_counter",
    "mapstar",
    "rebuild_exc",
    "starmapstar",
    "worker",
]

TimeoutError = _errors.TimeoutError
job_counter = itertools.count()


def mapstar(args: tuple[Callable[..., Any], Iterable[Any]]) -> list[Any]:
    """What a standard worker does with a task of map(): (function, items)."""
    return list(map(*args))


def starmapstar(args: tuple[Callable[..., Any], Iterable[Any]]) -> list[Any]:
    """The same for starmap()."""
    function, items = args
    return list(itertools.starmap(function, items))


def rebuild_exc(exc: BaseException, tb: str) -> BaseException:
    """The exception, with the traceback that it had elsewhere as its cause."""
    exc.__cause__ = RemoteTraceback(tb)
    return exc


class ExceptionWithTraceback:
    """An exception that takes the text of its traceback along when it is pickled.

    Args:
        exc: The exception.
        tb: Its traceback.
    """

    def __init__(self, exc: BaseException, tb: Any) -> None:
        import traceback

        text = "".join(traceback.format_exception(type(exc), exc, tb))
        exc.__traceback__ = None
        self.exc, self.tb = exc, f'\n"""\n{text}"""'

    def __reduce__(self) -> tuple[object, ...]:
        return rebuild_exc, (self.exc, self.tb)


def helper_reraises_exception(ex: BaseException) -> Any:
    """Raise it; what a standard pool has a worker do whose input has failed.

    Raises: `ex`.
    """
    raise ex


def worker(
    inqueue: Any,
    outqueue: Any,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
    maxtasks: int | None = None,
    wrap_exception: bool = False,
) -> None:
    """A worker as the standard pool has it, for programs that run it between queues of their own.

    It takes tasks (job, i, function, args, kwargs), until one is None, and answers with
    (job, i, (True, result)), or (job, i, (False, exception)).

    Args:
        maxtasks: After so many tasks it returns.
        wrap_exception: An exception takes its traceback along.
    Raises:
        AssertionError: maxtasks is no number of tasks.
    """
    if maxtasks is not None and not (isinstance(maxtasks, int) and maxtasks >= 1):
        raise AssertionError(f"Maxtasks {maxtasks!r} is not valid: it is an int from 1 on, or None")
    if initializer is not None:
        initializer(*initargs)
    rounds = itertools.count() if maxtasks is None else range(maxtasks)
    for _ in rounds:
        try:
            task = inqueue.get()
        except (EOFError, OSError):
            return  # whoever gave the tasks is gone
        if task is None:
            return
        answer = _answer(task, wrap_exception)
        try:
            outqueue.put(answer)
        except Exception as error:
            unsent = MaybeEncodingError(error, answer[2][1])
            outqueue.put((*answer[:2], (False, unsent)))
        del task, answer


def _answer(task: Any, wrap_exception: bool) -> tuple[Any, Any, tuple[bool, Any]]:
    job, place, function, args, kwargs = task
    try:
        return job, place, (True, functools.partial(function, *args, **kwargs)())
    except Exception as error:
        if wrap_exception and function is not helper_reraises_exception:
            return job, place, (False, ExceptionWithTraceback(error, error.__traceback__))
        return job, place, (False, error)
