"""The main module of a program, run once more in a child, under the name __mp_main__.

Its globals are one dict, that of the module which stands in sys.modules afterwards: what a function
of it assigns to a global shows in __main__, as it does under fork.
"""

from __future__ import annotations

import os
import sys

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

__all__ = ["compile_ahead", "run_file", "run_module"]

_NAME = "__mp_main__"
_PYC_HEAD = 16


# What a fork server has compiled for its children: the code, and of which state of the file.
_compiled: dict[str, tuple[tuple[int, ...], CodeType]] = {}


def _state_of(path: str) -> tuple[int, ...]:
    about = os.stat(path)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def compile_ahead(path: str) -> None:
    """In a fork server: compile a script, which its children will run. What cannot be is theirs."""
    import warnings

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            state = _state_of(path)
            code = _code_of_file(path)
    except Exception:
        return  # each child says it
    if code is not None and not told:
        _compiled[path] = (state, code)


def _code_of_file(path: str) -> CodeType | None:
    """The code of a script, or of what it was compiled to; None where it is neither."""
    if path in _compiled and _compiled[path][0] == _state_of(path):
        return _compiled[path][1]
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        source = file.read()
    from _frozen_importlib_external import MAGIC_NUMBER

    if source.startswith(MAGIC_NUMBER):
        import marshal

        code: CodeType = marshal.loads(source[_PYC_HEAD:])
        return code
    if path.endswith((".zip", ".pyz")) or source.startswith(b"PK"):
        return None
    compiled: CodeType = _core.compile(source, path)
    return compiled


def _run(code: CodeType, argv: str, attributes: dict[str, Any]) -> ModuleType:
    """Run it as a module, which is __main__ from then on."""
    module = type(sys)(_NAME)
    vars(module).update({"__cached__": None, "__loader__": None, "__package__": ""}, **attributes)
    sys.modules[_NAME] = module
    before = sys.modules.get("__main__")
    given = sys.argv[0]
    sys.argv[0] = argv
    try:
        exec(code, vars(module))
    finally:
        sys.argv[0] = given
    # What the program may have put there in its place stays; but not the main module of before,
    # which the standard package puts there when the program imports that.
    if sys.modules.get(_NAME, before) is not before:
        module = sys.modules[_NAME]
    sys.modules["__main__"] = sys.modules[_NAME] = module
    return module


def run_file(path: str) -> None:
    """Run a script as the main module of this process.

    Raises:
        Exception: What it raises.
        OSError: It cannot be read.
    """
    code = _code_of_file(path)
    if code is not None:
        _run(code, path, {"__file__": path})
        return
    # A folder, a zip file: that is for those who know of all the others.
    import runpy

    module = type(sys)(_NAME)
    vars(module).update(runpy.run_path(path, run_name=_NAME))
    sys.modules["__main__"] = sys.modules[_NAME] = module


def run_module(name: str) -> None:
    """Run a module that was started by `python -m` as the main module of this process.

    Raises:
        ImportError: There is no such module.
        Exception: What it raises.
    """
    import importlib.util

    spec = importlib.util.find_spec(name)
    code = spec.loader.get_code(name) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]
    if spec is None or code is None:
        raise ImportError(f"no code object is there for {name}, which was started as __main__")
    attributes = {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }
    _run(code, str(spec.origin), attributes)
