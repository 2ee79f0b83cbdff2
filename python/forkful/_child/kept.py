"""What a process keeps of a child's arguments while the child runs."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Children", "proxies_among"]


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
