"""Describes a package of multiprocessing's kind, as JSON: `python interfaces.py multiprocessing`.

It is a program of its own, so that the standard package is not loaded where forkful is tested.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import sys
from types import ModuleType

# The standard modules outside multiprocessing for which forkful has one.
ELSEWHERE = {
    "futures": "concurrent.futures.process",
    "_multiprocessing": "_multiprocessing",
}
SIMPLE = (bool, int, float, str, bytes, type(None))
WINDOWS = {"popen_spawn_win32"}
LATER = "is not there yet"


def modules_of(package: str) -> dict[str, str]:
    """The modules of a package, by their names inside it; "" is the package itself."""
    found = {"": package}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            found[module.name] = f"{package}.{module.name}"
            if module.ispkg:
                for inner in modules_of(f"{package}.{module.name}"):
                    found[f"{module.name}.{inner}"] = f"{package}.{module.name}.{inner}"
                del found[f"{module.name}."]
    return found


def signature_of(thing: object) -> list[list[str]] | None:
    """Each parameter: its name, its kind and its default; None where Python does not know."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        [
            each.name,
            each.kind.name,
            "" if each.default is each.empty else re.sub(r"0x\w+", "0x", repr(each.default)),
        ]
        for each in parameters
    ]


def is_of(thing: object, root: str) -> bool:
    """Whether the package, or a module of ELSEWHERE, defines it."""
    module = getattr(thing, "__module__", None) or ""
    return module.partition(".")[0] == root or module in ELSEWHERE.values()


def methods_of(kind: type, root: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for base in kind.__mro__:
        if not is_of(base, root):
            continue
        for name, thing in vars(base).items():
            plain = getattr(thing, "__func__", thing)
            if not name.startswith("_") and name not in found:
                found[name] = LATER if is_placeholder(plain) else signature_of(plain)
    return found


def is_placeholder(thing: object) -> bool:
    return (inspect.getdoc(thing) or "").endswith("is not there yet.")


def describe(thing: object, root: str) -> dict[str, object]:
    """What it is, how it is called, and the methods of a class."""
    if is_placeholder(thing):
        return {"kind": LATER}
    if inspect.isclass(thing):
        told = {"kind": "class", "signature": signature_of(thing)}
        if issubclass(thing, BaseException):
            return told | {"kind": "exception", "bases": [base.__name__ for base in thing.__mro__]}
        return told | {"methods": methods_of(thing, root)}
    if callable(thing):
        return {"kind": "function", "signature": signature_of(thing)}
    if isinstance(thing, SIMPLE):
        return {"kind": "value", "value": repr(thing)}
    return {"kind": type(thing).__name__}


def is_interface(name: str, thing: object, module: ModuleType, root: str) -> bool:
    """Whether a name is one that a module offers, and does not only use itself."""
    if name in getattr(module, "__all__", ()):
        return True
    if name.startswith("_") or isinstance(thing, ModuleType):
        return False
    if isinstance(thing, (*SIMPLE, tuple, list, dict)):
        return True
    is_error = inspect.isclass(thing) and issubclass(thing, BaseException)
    return is_of(thing, root) and (is_error or thing.__module__ == module.__name__)


def interface_of(package: str) -> dict[str, object]:
    modules = modules_of(package)
    is_standard = package == "multiprocessing"
    # Of ours all names are told: it does not matter from where a module has them.
    for inside, standard in ELSEWHERE.items():
        modules[inside] = standard if is_standard else f"{package}.{inside}"
    found: dict[str, object] = {}
    for inside, full in sorted(modules.items()):
        if inside in WINDOWS or importlib.util.find_spec(full) is None:
            continue
        module = importlib.import_module(full)
        things = {name: getattr(module, name) for name in dir(module)}
        found[inside] = {
            "all": sorted(getattr(module, "__all__", ())),
            "names": {
                name: describe(thing, package)
                for name, thing in things.items()
                if not is_standard or is_interface(name, thing, module, package)
            },
        }
    return found


if __name__ == "__main__":
    print(json.dumps(interface_of(sys.argv[1])))
