"""The addresses at which programs listen, and their families."""

from __future__ import annotations

import itertools
import os

from forkful import _temporary

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "address_type",
    "arbitrary_address",
    "default_family",
    "families",
    "is_abstract",
    "validate_family",
]

default_family = "AF_UNIX"
families = ["AF_INET", "AF_UNIX"]


def is_abstract(address: Any) -> bool:
    """Whether it names a socket that is in no folder; Python has them as bytes or as text."""
    # Each compared with its own kind, since -bb forbids another comparison.
    zero: object = "\0" if isinstance(address, str) else b"\0"
    return isinstance(address, str | bytes) and address[:1] == zero


_counter = itertools.count()


def arbitrary_address(family: str) -> Any:
    """An address that nobody listens at.

    Raises:
        ValueError: There is no such family.
    """
    if family == "AF_INET":
        return ("localhost", 0)
    if family == "AF_UNIX":
        # In a folder that only this user can enter.
        name = f"listener-{os.getpid()}-{next(_counter)}"
        return os.path.join(_temporary.get_temp_dir(), name)
    raise ValueError(f"unrecognized family {family!r}: {' and '.join(families)} are there")


def address_type(address: Any) -> str:
    """The family of an address: a tuple is of AF_INET, a path or an abstract name of AF_UNIX.

    Raises:
        TypeError, ValueError: It is no address.
    """
    if isinstance(address, tuple):
        return "AF_INET"
    if isinstance(address, str) and address.startswith("\\\\"):
        return "AF_PIPE"
    if isinstance(address, str) or is_abstract(address):
        return "AF_UNIX"
    error = ValueError if not address or isinstance(address, bytes) else TypeError
    raise error(
        f"address type of {address!r} unrecognized: it is (host, port), or the path of a socket"
    )


def validate_family(family: str) -> None:
    import socket

    if not isinstance(family, str) or not family.startswith("AF_") or not hasattr(socket, family):
        raise ValueError(f"Family {family} is not recognized: {' and '.join(families)} are there")
