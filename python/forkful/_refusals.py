"""What is said of an object that cannot be pickled: which one it is, and what to give instead.

The remedies are the engine's, which says the same of what pools and queues are given.
"""

from __future__ import annotations

from types import FunctionType, MethodType

from forkful import _core
from forkful._handlers import is_from_handler

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from forkful.process import BaseProcess

__all__ = ["note_object", "note_request", "note_start"]


def note_object(error: Exception, which: str) -> None:
    """Note on an exception of pickling what was being pickled, and the remedy."""
    if not is_from_handler(error):
        remedy = _core.remedy_for(error)
        told = f"forkful: {which} was being pickled"
        error.add_note(told if remedy is None else f"{told}: {remedy}")


def note_request(error: Exception, request: object, pickle: Callable[[Any], object]) -> None:
    """The same of a request to a manager: (id, method, args, kwds); of an answer, nothing."""
    if not isinstance(request, tuple) or len(request) != 4 or is_from_handler(error):
        return
    id, method, args, kwds = request
    if id is None and method == "create":
        method, *args = args
    _note_first(error, _arguments(args, kwds, f"{method}()"), pickle)


def note_start(error: Exception, process: BaseProcess, pickle: Callable[[Any], object]) -> None:
    """The same of a process that is being started.

    Args:
        pickle: What pickles something for that process.
    """
    if is_from_handler(error):
        return
    try:
        state: Any = process.__getstate__()
    except Exception:
        return  # that is what was refused, and its traceback shows where
    kind, name = type(process), process.name
    own = {} if not isinstance(state, dict) else {**state}
    target = own.pop("_target", None)
    args, kwargs = own.pop("_args", ()), own.pop("_kwargs", {})
    parts = [
        (f"the class of {name}, {kind.__qualname__}", kind),
        (f"the target of {name}{_taken_along_by(target)}", target),
        *(_of_pool(args) if process._pool_worker else _arguments(args, kwargs, name)),
        *((f"the attribute {each} of {name}", value) for each, value in own.items()),
    ]
    _note_first(error, parts, pickle)


def _arguments(
    args: Iterable[Any], kwargs: Mapping[str, Any], whose: str
) -> list[tuple[str, object]]:
    return [
        *((f"argument {i} of {whose}, counted from 0", each) for i, each in enumerate(args)),
        *((f"the argument {name}= of {whose}", each) for name, each in kwargs.items()),
    ]


def _of_pool(args: tuple[Any, ...]) -> list[tuple[str, object]]:
    """What a pool was given for its worker."""
    _, _, initializer, initargs, *_ = args
    place = "of the pool's initargs, counted from 0"
    return [
        ("the initializer of the pool", initializer),
        *((f"item {i} {place}", each) for i, each in enumerate(initargs)),
    ]


def _taken_along_by(target: object) -> str:
    if not isinstance(target, MethodType):
        return ""
    return f", a method, which takes its {type(target.__self__).__qualname__} along"


def _note_first(
    error: Exception, parts: Iterable[tuple[str, object]], pickle: Callable[[Any], object]
) -> None:
    """Note the first of these that cannot be pickled alone."""
    for which, each in parts:
        try:
            pickle(each)
        except Exception as refusal:
            if is_from_handler(refusal):
                raise
            error.add_note(f"forkful: it is {which}")
            named = type(each) is FunctionType
            remedy = _core.NAMED_FUNCTIONS if named else _core.remedy_for(refusal)
            if remedy is not None:
                error.add_note(f"forkful: {remedy}")
            return
