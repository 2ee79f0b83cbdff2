"""Makes forkful the `multiprocessing` of this process and of the children that it starts.

What imports the names afterwards has ours. What took them before keeps what it took: install() says
so. It takes over what others told the standard package about this process: their reducers and the
start method. Their hooks around a fork stay there; children of ours run them, too.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec

from forkful._child.standard import aside
from forkful._modules import MIRRORED
from forkful._run import apart

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["install", "status", "uninstall"]

_OURS = "forkful"
_STANDARD = "multiprocessing"
_FUTURES = "concurrent.futures"
_EXECUTOR = "concurrent.futures.process"


def _is_mirrored(name: str) -> bool:
    if name in (_STANDARD, _EXECUTOR):
        return True
    return name.removeprefix(_STANDARD + ".").partition(".")[0] in MIRRORED


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
        __import__(spec.origin)
        sys.modules[spec.name] = sys.modules[spec.origin]


_alias = _Alias()
_bound_before: dict[str, list[str]] = {}


def install() -> None:
    """From now on `multiprocessing` and `ProcessPoolExecutor` are ours, here and in children.

    Modules that have taken names from the standard package already keep them, and a RuntimeWarning
    names these modules: call it first. What they start from then on, they can start by fork only.
    A second call does nothing. Importing a module of
    multiprocessing that forkful has not raises ModuleNotFoundError from then on.
    """
    if _alias in sys.meta_path:
        return
    for name in [n for n in sys.modules if _our_name(n) is not None]:
        aside[name] = sys.modules.pop(name)
    _bound_before.update(_holders())
    apart.set_apart()
    sys.meta_path.insert(0, _alias)
    # Where it is imported later, it looks for its executor under the name that is ours then.
    futures = sys.modules.get(_FUTURES)
    if futures is not None and "ProcessPoolExecutor" in vars(futures):
        aside["ProcessPoolExecutor"] = vars(futures).pop("ProcessPoolExecutor")
    if not aside:
        return
    for name in aside:
        if name != "ProcessPoolExecutor" and _is_mirrored(name):
            __import__(name)
    _take_over()
    if _bound_before:
        _warn()


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
    apart.set_back()
    executor = aside.pop("ProcessPoolExecutor", None)
    if futures is not None and executor is not None:
        vars(futures)["ProcessPoolExecutor"] = executor
    if futures is not None and _EXECUTOR in aside:
        vars(futures)["process"] = aside[_EXECUTOR]
    sys.modules.update(aside)
    aside.clear()
    _bound_before.clear()


def status() -> dict[str, object]:
    """Whether forkful is installed, and whose module `multiprocessing` is just now, if any.

    `bound_before` has the modules that held names of the standard package when install() was
    called, each with these names.
    """
    module = sys.modules.get(_STANDARD)
    return {
        "installed": _alias in sys.meta_path,
        "multiprocessing": getattr(module, "__name__", None),
        "file": getattr(module, "__file__", None),
        "bound_before": {name: list(held) for name, held in _bound_before.items()},
    }


# --- what was there before ---


def _holders() -> Iterator[tuple[str, list[str]]]:
    """The modules of the program that hold what is the standard package's, and these names."""
    standard = {id(module) for module in aside.values()}
    seen = set()  # __main__ is __mp_main__, too
    for name, module in sorted(sys.modules.items()):
        if _our_name(name) is not None or name.startswith((_OURS + ".", _FUTURES)):
            continue
        if id(module) in seen:
            continue
        seen.add(id(module))
        names = getattr(module, "__dict__", {})
        held = [n for n, thing in list(names.items()) if id(thing) in standard or _is_theirs(thing)]
        if held:
            yield name, sorted(held)


def _is_theirs(thing: object) -> bool:
    """Whether it is a class, a function or an object of the standard package.

    Objects are judged by their types: to ask one for an attribute may run any code.
    """
    is_named = isinstance(thing, type) or type(thing).__name__ in ("function", "method")
    try:
        home = thing.__module__ if is_named else type(thing).__module__
    except AttributeError:
        return False
    return isinstance(home, str) and _our_name(home) is not None


def _warn() -> None:
    import warnings

    told = "; ".join(f"{name} has {', '.join(held)}" for name, held in _bound_before.items())
    process = aside.get(_STANDARD + ".process")
    bootstrap = getattr(getattr(process, "BaseProcess", None), "_bootstrap", None)
    patched = getattr(bootstrap, "__module__", None)
    if patched is not None and _our_name(patched) is None:
        told += f"; {patched} has replaced BaseProcess._bootstrap of it"
    warnings.warn(
        f"names were taken from the standard multiprocessing before install(), and stay what they "
        f"are: {told}. Call install() first, or start the program by `forkful run`",
        RuntimeWarning,
        stacklevel=3,
    )


def _take_over() -> None:
    """What others have told the standard package holds for ours as well."""
    reduction, context = (aside.get(f"{_STANDARD}.{name}") for name in ("reduction", "context"))
    if reduction is not None and hasattr(reduction, "ForkingPickler"):
        from forkful.reduction import ForkingPickler

        for kind, reduce in reduction.ForkingPickler._extra_reducers.items():
            if _our_name(getattr(reduce, "__module__", None) or "") is None:
                ForkingPickler.register(kind, reduce)
    chosen = getattr(getattr(context, "_default_context", None), "_actual_context", None)
    if chosen is not None:
        from forkful.context import default_context

        if default_context.get_start_method(allow_none=True) is None:
            default_context.set_start_method(chosen._name)
