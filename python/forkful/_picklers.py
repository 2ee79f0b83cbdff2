"""The name `_ForkingPickler` of a module, in whose place programs put a pickler of their own.

A widely copied recipe does so to send what pickle refuses, by dill or another one.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any
else:
    ModuleType = type(sys)

__all__ = ["tell_of_other"]

_NAME = "_ForkingPickler"
_tellers: dict[str, Callable[[Any], None]] = {}  # by the module's name


class _Module(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == _NAME:
            _tellers[self.__name__](value)


def tell_of_other(module: str, tell: Callable[[Any], None]) -> None:
    """Call `tell` with each pickler that is put in the place of the module's own."""
    _tellers[module] = tell
    sys.modules[module].__class__ = _Module
