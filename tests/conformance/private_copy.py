"""A private copy of an interpreter, in which forkful takes the place of what it stands in for.

The standard multiprocessing, its accelerators and the executor's module are deleted from it, and a
shim is in the place of each. So whatever a suite starts, with whichever flags, runs on forkful or
does not run at all.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from suites import NoTests, put_tests

__all__ = ["Copy", "make_copy"]

_ASKED = """
import json, os, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(sys.executable),
    "version": "%d.%d" % sys.version_info[:2],
    "release": sys.version.split()[0],
    "library": sysconfig.get_path("stdlib"),
    "builtin": [n for n in ("_multiprocessing", "_posixshmem") if n in sys.builtin_module_names],
}))
"""

_LEFT_OUT = ["__pycache__", "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data"]
_LEFT_OUT_AT_THE_TOP = {"dist-packages", "site-packages", "test"}

# install() puts the package in the place of the module that is just being imported.
_SHIM = "import forkful\n\nforkful.install()\n"
# A test imports each file of the package's folder as one of multiprocessing's modules, those too
# that are forkful's own, which install() does not serve.
_SHIM_OF_ALL = """\
import sys
from importlib.machinery import ModuleSpec

import forkful
from forkful._run import install


class _Private:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("multiprocessing._") or name == "multiprocessing.futures":
            ours = "forkful" + name.removeprefix("multiprocessing")
            return ModuleSpec(name, install._alias, origin=ours)


install.install()
sys.meta_path.insert(0, _Private())
"""
_SHIM_FOR_ONE = """\
import importlib
import sys

sys.modules[__name__] = importlib.import_module({ours!r})
"""
_SHIMS = {
    "multiprocessing.py": _SHIM_OF_ALL,
    "concurrent/futures/process.py": _SHIM,
    "_multiprocessing.py": _SHIM_FOR_ONE.format(ours="forkful._multiprocessing"),
    "_posixshmem.py": _SHIM_FOR_ONE.format(ours="forkful.shared_memory"),
}


@dataclass(frozen=True)
class Copy:
    """A copy that is ready to run suites."""

    python: Path
    version: str  # 3.11
    release: str  # 3.11.7
    tests: list[str]  # where the suites are from


def make_copy(interpreter: str, package: Path | None, work: Path) -> Copy:
    """Make one.

    Args:
        interpreter: Which one is copied.
        package: A folder with the package as it is installed; None leaves the standard one.
        work: Where the copy lies.
    Raises:
        NoTests: The interpreter cannot be used in this way.
    """
    asked = subprocess.run([interpreter, "-I", "-c", _ASKED], check=True, stdout=subprocess.PIPE)
    facts = json.loads(asked.stdout)
    if facts["builtin"]:
        raise NoTests(f"{interpreter} has {facts['builtin']} built in: they cannot be removed")
    root = work / f"python-{facts['version']}"
    _have_alone(root)
    shutil.rmtree(root, ignore_errors=True)
    python = root / f"bin/python{facts['version']}"
    python.parent.mkdir(parents=True)
    shutil.copy2(facts["executable"], python)
    (python.parent / "python3").symlink_to(python.name)
    installed = Path(facts["library"])
    library = root / f"lib/python{facts['version']}"
    _copy_library(installed, library)
    tests = put_tests(facts["version"], installed, library, work)
    if package is not None:
        _replace_standard(library, package)
    return Copy(python, facts["version"], facts["release"], tests)


def _have_alone(root: Path) -> None:
    """Wait until no other run has the copy, which is this one's until it ends."""
    lock = open(f"{root}.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    _locks.append(lock)


_locks: list[object] = []


def _copy_library(source: Path, target: Path) -> None:
    patterns = shutil.ignore_patterns(*_LEFT_OUT)

    def ignore(folder: str, names: list[str]) -> set[str]:
        at_the_top = _LEFT_OUT_AT_THE_TOP if Path(folder) == source else set()
        return set(patterns(folder, names)) | at_the_top

    shutil.copytree(source, target, ignore=ignore, ignore_dangling_symlinks=True)
    (target / "site-packages").mkdir()


def _replace_standard(library: Path, package: Path) -> None:
    shutil.rmtree(library / "multiprocessing")
    for pattern in ("_multiprocessing.*.so", "_posixshmem.*.so"):
        for accelerator in (library / "lib-dynload").glob(pattern):
            accelerator.unlink()
    for path in package.iterdir():  # with its metadata, and in no folder that needs site
        if path.is_dir():
            shutil.copytree(path, library / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in _SHIMS.items():
        (library / name).write_text(text)
