"""A child's arguments: as they are given, and what a process keeps of them while it runs."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = [
    "Children",
    "call_with_text",
    "no_attribute",
    "proxies_among",
    "to_arguments",
    "to_call",
    "to_keywords",
]


def to_arguments(name: str, given: Iterable[Any]) -> tuple[Any, ...]:
    """The arguments that a caller gives as `name`."""
    if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
        raise TypeError(
            f"{name} must be a tuple or another iterable, not {given!r}: "
            f"one argument is written ({given!r},)"
        )
    return tuple(given)


def to_keywords(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name that a caller gives as `name`."""
    try:
        return dict(given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a dict or another mapping, not {given!r}") from error


def to_call(
    func: Callable[..., Any] | None, name: str, given: Iterable[Any]
) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
    """What is called, and with what, for arguments that a caller gives as `name`.

    A text as `name` is most often meant to be one argument, and where the call does not fit, the
    error says so.
    """
    arguments = to_arguments(name, given)
    if func is None or not isinstance(given, str | bytes):
        return func, arguments
    return call_with_text, (func, name, given)


def call_with_text(func: Callable[..., Any], name: str, given: str | bytes, /, **kwds: Any) -> Any:
    """func(*given, **kwds), with a note on a TypeError of the call itself."""
    try:
        return func(*given, **kwds)
    except TypeError as error:
        trace = error.__traceback__
        if trace is None or trace.tb_next is None:
            kind = "string" if isinstance(given, str) else "bytes object"
            error.add_note(
                f"forkful: {name} was the {kind} {given!r}, whose items are the arguments: "
                f"one argument is written ({given!r},)"
            )
        raise


def no_attribute(process: object, name: str) -> AttributeError:
    """The error for an attribute that a Process has not, with the remedy where it has none."""
    told = f"{type(process).__name__!r} object has no attribute {name!r}"
    if "_closed" not in vars(process):
        told += ": its __init__() has to call super().__init__() first"
    return AttributeError(told, name=name, obj=process)


class Children(set):  # type: ignore[type-arg]
    """The children that run, as far as one knows; one that has ended keeps no argument."""

    def discard(self, element: Any) -> None:
        super().discard(element)
        vars(element).pop("_kept", None)


def proxies_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that are proxies of a manager.

    It drops an object whose last proxy goes, and a child that has just begun has none of its own.
    """
    return [each for each in (*args, *kwargs.values()) if hasattr(type(each), "_callmethod")]
