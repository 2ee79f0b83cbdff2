"""A child's arguments: as they are given, and what a process keeps of them while it runs."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Children", "proxies_among", "to_arguments"]


def to_arguments(name: str, given: Iterable[Any]) -> tuple[Any, ...]:
    """The arguments that a caller gives as `name`."""
    if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
        raise TypeError(
            f"{name} must be a tuple or another iterable, not {given!r}: "
            f"one argument is written ({given!r},)"
        )
    return tuple(given)


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
