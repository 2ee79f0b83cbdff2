"""Makes forkful the `multiprocessing` of this process and, by fork, of its children."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from forkful._modules import MIRRORED

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["install", "status", "uninstall"]

_OURS = "forkful"
_STANDARD = "multiprocessing"
_FUTURES = "concurrent.futures"
_EXECUTOR = "concurrent.futures.process"


def _is_mirrored(name: str) -> bool:
    return name in (_STANDARD, _EXECUTOR) or name.removeprefix(_STANDARD + ".") in MIRRORED


def _our_name(name: str) -> str | None:
    """The module of ours that stands in for the standard one called `name`."""
    if name == _EXECUTOR:
        return _OURS + ".futures"
    if name == _STANDARD or name.startswith(_STANDARD + "."):
        return _OURS + name[len(_STANDARD) :]
    return None


class _Alias:
    """Finds the standard names and gives our modules, the very same objects.

    A finder and loader by its methods alone: importing importlib.abc takes 10 ms.
    """

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        ours = _our_name(fullname)
        if ours is None:
            return None
        if not _is_mirrored(fullname):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: forkful stands in for multiprocessing, "
                f"and has no {ours}",
                name=fullname,
            )
        return ModuleSpec(fullname, self, origin=ours)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The importer takes what stands in sys.modules afterwards, so both names are one module.
        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        sys.modules[spec.name] = importlib.import_module(spec.origin)


_alias = _Alias()
_hidden: dict[str, Any] = {}


def install() -> None:
    """From now on `multiprocessing` and `ProcessPoolExecutor` are ours, here and in children.

    Modules that have taken names from the standard package already keep them: call it first. A
    second call does nothing. Importing a module of multiprocessing that forkful has not raises
    ModuleNotFoundError from then on.
    """
    if _alias in sys.meta_path:
        return
    for name in [n for n in sys.modules if _our_name(n) is not None]:
        _hidden[name] = sys.modules.pop(name)
    sys.meta_path.insert(0, _alias)
    # Where it is imported later, it looks for its executor under the name that is ours then.
    futures = sys.modules.get(_FUTURES)
    if futures is not None and "ProcessPoolExecutor" in vars(futures):
        _hidden["ProcessPoolExecutor"] = vars(futures).pop("ProcessPoolExecutor")
    for name in _hidden:
        if _is_mirrored(name):
            importlib.import_module(name)


def uninstall() -> None:
    """Give the standard names back; without install() before it does nothing."""
    if _alias not in sys.meta_path:
        return
    sys.meta_path.remove(_alias)
    futures = sys.modules.get(_FUTURES)
    if futures is not None:
        vars(futures).pop("ProcessPoolExecutor", None)
        vars(futures).pop("process", None)
    for name in [n for n in sys.modules if _our_name(n) is not None]:
        del sys.modules[name]
    executor = _hidden.pop("ProcessPoolExecutor", None)
    if futures is not None and executor is not None:
        vars(futures)["ProcessPoolExecutor"] = executor
    sys.modules.update(_hidden)
    _hidden.clear()


def status() -> dict[str, object]:
    """Whether forkful is installed, and whose module `multiprocessing` is just now, if any."""
    module = sys.modules.get(_STANDARD)
    return {
        "installed": _alias in sys.meta_path,
        "multiprocessing": getattr(module, "__name__", None),
        "file": getattr(module, "__file__", None),
    }
