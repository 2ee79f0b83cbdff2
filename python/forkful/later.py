"""Stands in for what is not there yet: it can be imported and looked at, but not used."""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["call", "kind"]


def _refuse(name: str, instead: str = "") -> NoReturn:
    raise NotImplementedError(
        f"forkful has no {name} yet{instead and ', '}{instead}; its README lists what there is, "
        "and nothing falls back to the standard library"
    )


def kind(name: str, instead: str = "") -> type:
    """A class that cannot be constructed; `instead` says what there is."""

    def __new__(cls: type, *args: object, **kwargs: object) -> Any:
        _refuse(name, instead)

    return type(name, (), {"__new__": __new__, "__doc__": f"{name} is not there yet."})


def call(name: str) -> Callable[..., Any]:
    """A function that cannot be called."""

    def refuse(*args: object, **kwargs: object) -> Any:
        _refuse(name)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"{name} is not there yet."
    return refuse
