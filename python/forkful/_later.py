"""Stands in for what is not there yet: it can be imported and looked at, but not used."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["call", "kind"]

# What a program can use in the meantime.
_INSTEAD = {
}


def _refuse(name: str, instead: str = "") -> NoReturn:
    instead = instead or _INSTEAD.get(name, "")
    raise NotImplementedError(
        f"forkful has no {name} yet{instead and ': '}{instead}; its README lists what there is, "
        "and nothing falls back to the standard library"
    )


def kind(name: str, instead: str = "") -> type:
    """A class that cannot be constructed; `instead` says what there is, by default _INSTEAD."""

    def __new__(cls: type, *args: object, **kwargs: object) -> Any:
        _refuse(name, instead)

    return type(name, (), {"__new__": __new__, "__doc__": f"{name} is not there yet."})


def call(name: str, instead: str = "") -> Callable[..., Any]:
    """A function that cannot be called."""

    def refuse(*args: object, **kwargs: object) -> Any:
        _refuse(name, instead)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"{name} is not there yet."
    return refuse
