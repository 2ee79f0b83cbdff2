"""Children under Windows, which forkful does not run on: there for programs that look for it."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Popen"]

WINEXE = False
WINSERVICE = False


class Popen:
    """A child made by CreateProcess(); it cannot be made here."""

    method = "spawn"

    def __init__(self, process_obj: Any) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            "popen_spawn_win32 is for Windows: take get_context('spawn').Process"
        )
