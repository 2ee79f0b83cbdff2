"""The standard package beside ours: under another name, by which its own modules find each other.

Most of what it imports within its functions are its own modules, relative to the name of their
package. Under the name that is ours now, they would find our modules instead.
"""

from __future__ import annotations

import sys

from forkful._child.standard import APART, aside

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["set_apart", "set_back"]

_STANDARD = "multiprocessing"


def set_apart() -> None:
    """Have what was taken out of sys.modules import relative to the other name."""
    package = aside.get(_STANDARD)
    spec = getattr(package, "__spec__", None)
    if not hasattr(package, "__path__") or getattr(spec, "_initializing", False):
        return  # there is none, or this is called in the midst of its import
    for name, module in list(aside.items()):
        if name.partition(".")[0] == _STANDARD:
            other = APART + name.removeprefix(_STANDARD)
            sys.modules[other] = module
            _rename(module, other)


def set_back() -> None:
    """Undo set_apart(); what was imported by the other name since is forgotten."""
    if APART not in sys.modules:
        return
    for name in [n for n in sys.modules if n.partition(".")[0] == APART]:
        del sys.modules[name]
    for name, module in aside.items():
        if name.partition(".")[0] == _STANDARD:
            _rename(module, name)


def _rename(module: ModuleType, name: str) -> None:
    # Also of its functions and classes, by which pickle finds them.
    for thing in vars(module).values():
        if isinstance(thing, type | type(_rename)) and thing.__module__ == module.__name__:
            thing.__module__ = name
    module.__name__ = name
    # Both, as the import warns where they differ.
    is_package = hasattr(module, "__path__")
    module.__package__ = name if is_package else name.rpartition(".")[0]
    if module.__spec__ is not None:
        module.__spec__.name = name
