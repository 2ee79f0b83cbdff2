"""What a manager's server and its clients say to each other, in multiprocessing's own words.

A request is (ident of an object, or None for the server itself; method; args; kwds). An answer is
(kind, content): #RETURN and a value; #PROXY and (exposed methods, token); #ERROR and the exception
of a method; #TRACEBACK or #UNSERIALIZABLE and a text.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = [
    "RemoteError",
    "State",
    "Token",
    "all_methods",
    "convert_to_error",
    "dispatch",
    "public_methods",
]

_RULE = "-" * 75


class RemoteError(Exception):
    """What a manager's server could not do; the text has the server's traceback."""

    def __str__(self) -> str:
        return f"\n{_RULE}\n{self.args[0]}{_RULE}"


class Token:
    """Which object of which server a proxy stands for.

    Args:
        typeid: The name that its type was registered under.
        address: Where the server listens.
        id: The object's name within the server.
    """

    __slots__ = ("address", "id", "typeid")

    typeid: str
    address: Any
    id: str

    def __init__(self, typeid: str, address: Any, id: str) -> None:
        self.__setstate__((typeid, address, id))

    def __getstate__(self) -> tuple[str, Any, str]:
        return self.typeid, self.address, self.id

    def __setstate__(self, state: tuple[str, Any, str]) -> None:
        self.typeid, self.address, self.id = state

    def __repr__(self) -> str:
        fields = f"typeid={self.typeid!r}, address={self.address!r}, id={self.id!r}"
        return f"{type(self).__name__}({fields})"


class State:
    """How far a manager has come; its proxies look at it, too."""

    __slots__ = ("patience", "value")
    INITIAL = 0
    STARTED = 1
    SHUTDOWN = 2

    value: int
    patience: float  # seconds; there where the server goes with this process


def dispatch(
    c: Any,
    id: str | None,
    methodname: str,
    args: Sequence[Any] = (),
    kwds: Mapping[str, Any] = {},
) -> Any:
    """Have a server call a method, and return what that has returned.

    Args:
        c: A connection to the server.
        id: The object's name there; None: the server itself.
    Raises:
        RemoteError: The server could not do it.
        EOFError, ConnectionError: The server is gone.
        Exception: What the method has raised.
    """
    c.send((id, methodname, args, kwds))
    kind, content = c.recv()
    if kind == "#RETURN":
        return content
    error = convert_to_error(kind, content)
    try:
        raise error
    finally:
        del error, content  # the traceback has this frame, which would keep the exception


def convert_to_error(kind: str, result: Any) -> BaseException:
    """The exception that an answer of a kind other than #RETURN and #PROXY stands for.

    Raises:
        TypeError: The answer should be a text and is none.
    """
    if kind == "#ERROR":
        return result  # type: ignore[no-any-return]
    if kind not in ("#TRACEBACK", "#UNSERIALIZABLE"):
        return ValueError(f"Unrecognized message type {kind!r}")
    if not isinstance(result, str):
        raise TypeError(f"Result {result!r} (kind {kind!r}) type is {type(result)}, not str")
    if kind == "#UNSERIALIZABLE":
        result = f"Unserializable message: {result}\n"
    return RemoteError(result)


def all_methods(obj: Any) -> list[str]:
    """The names of what can be called of an object."""
    return [name for name in dir(obj) if callable(getattr(obj, name))]


def public_methods(obj: Any) -> list[str]:
    """Those of all_methods() that do not begin with an underscore."""
    return [name for name in all_methods(obj) if not name.startswith("_")]
