"""How a new interpreter comes to have this package, under any of its options.

The package is loaded from where it lies, by the importer's own means and before anything else. Why
no entry of sys.path: -I and -E ignore PYTHONPATH, and -S what lies in site-packages; one in front
would let what lies beside the package hide the standard library; and programs that are no children
would inherit it.
"""

from __future__ import annotations

import os
import sys

__all__ = ["is_installed", "package_here", "prologue"]

_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def is_installed() -> bool:
    """Whether forkful stands in for multiprocessing here."""
    install = sys.modules.get("forkful._run.install")
    return install is not None and bool(install.status()["installed"])


def package_here() -> str:
    """The package whose modules stand for ours in this process."""
    return "multiprocessing" if is_installed() else "forkful"


def prologue() -> tuple[str, str]:
    """Statements that load forkful, and the package whose modules stand in for it afterwards."""
    ours, ours_text = sys.version_info[:2], ".".join(map(str, sys.version_info[:2]))
    code = (
        f"import sys; sys.version_info[:2] == {ours} or sys.exit('forkful: a process cannot start: "
        f"its interpreter is Python %d.%d, and its parent is {ours_text}: see set_executable()' "
        "% sys.version_info[:2]); "
        "import _frozen_importlib as _f, _frozen_importlib_external as _e; "
        f"_s = _e.PathFinder.find_spec('forkful', [{_FOLDER!r}]); "
    )
    folders = [os.path.abspath(path) for path in sys.modules["forkful"].__path__]
    if len(folders) > 1:  # an editable installation
        code += f"_s.submodule_search_locations[:] = {folders!r}; "
    code += "_f._load(_s); del _f, _e, _s; "
    if not is_installed():
        return code, "forkful"
    return code + "from forkful._run.install import install; install(); ", "multiprocessing"
