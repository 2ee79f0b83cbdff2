"""CPython's suites: which there are, and where their files come from."""

from __future__ import annotations

import glob
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["METHODS", "SUITES", "Exclusion", "NoTests", "exclusions", "put_tests"]

HERE = Path(__file__).resolve().parent

METHODS = ("fork", "spawn", "forkserver")
SUITES = {
    **{method: f"test.test_multiprocessing_{method}" for method in METHODS},
    "main": "test.test_multiprocessing_main_handling",
    "futures": "test.test_concurrent_futures",
}

# What of the folder `test` the suites need.
_NEEDED = [
    "__init__.py",
    "__main__.py",
    "_test_multiprocessing.py",
    "_test_venv_multiprocessing.py",
    "libregrtest",
    "mp_*.py",
    "support",
    "test_concurrent_futures*",
    "test_multiprocessing_*",
]

# Some installs have the suite but not the modules that run it under one start method.
_FOR_ONE_METHOD = """\
import unittest

from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), {method!r})

if __name__ == "__main__":
    unittest.main()
"""

# What the executor's suite of a newer version asks of test.support, for an older one.
_FOR_NEWER_SUITES = '''

# --- Added by forkful's conformance runner, for a suite that is newer than this module.
if "Py_GIL_DISABLED" not in globals():
    Py_GIL_DISABLED = False


if "requires_gil_enabled" not in globals():

    def requires_gil_enabled(msg=None):
        return lambda test: test


def _also_for_threads(function, without):
    """The function, which knows of a thread sanitizer too; there is none here."""

    def call(*args, thread=False, **kwargs):
        asked = any(kwargs.values()) or not thread
        return function(*args, **kwargs) if asked else without

    return call


check_sanitizer = _also_for_threads(check_sanitizer, False)
skip_if_sanitizer = _also_for_threads(skip_if_sanitizer, lambda test: test)
'''


class NoTests(Exception):
    """The suites of a version of Python are not to be had here."""


@dataclass(frozen=True)
class Exclusion:
    """A test that is left out, by the end of its id, and why."""

    test: str
    why: str
    versions: tuple[str, ...]

    def covers(self, test: str) -> bool:
        return f".{test}".endswith(f".{self.test}")


def exclusions(version: str) -> list[Exclusion]:
    """Those of one version of Python, from exclusions.toml."""
    listed = tomllib.loads((HERE / "exclusions.toml").read_text())["exclusion"]
    found = [
        Exclusion(each["test"], each["why"], tuple(each.get("versions", ()))) for each in listed
    ]
    return [each for each in found if not each.versions or version in each.versions]


def put_tests(version: str, installed: Path, library: Path, work: Path) -> list[str]:
    """Put the suites into a copy of the standard library; says where they are from.

    Args:
        version: "3.11"
        installed: The interpreter's own standard library.
        library: The copy's, which has no folder `test` yet.
        work: Where what is downloaded is kept.
    Raises:
        NoTests: There are none for this version.
    """
    tests = library / "test"
    sources = []
    if (installed / "test/_test_multiprocessing.py").exists():
        _copy(installed / "test", tests)
        sources.append("the interpreter's own")
    elif version == "3.11":
        _copy(_from_debian(work), tests)
        sources.append("those of Debian's libpython3.11-testsuite")
    else:
        raise NoTests(
            f"this Python {version} has no package `test`: take one that was built from source, "
            "or install its tests"
        )
    for method in METHODS:
        if not list(tests.glob(f"test_multiprocessing_{method}*")):
            text = _FOR_ONE_METHOD.format(method=method)
            (tests / f"test_multiprocessing_{method}.py").write_text(text)
    if not list(tests.glob("test_concurrent_futures*")):
        sources.append(_put_executor_tests(version, tests, work))
    return sources


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for pattern in _NEEDED:
        for path in source.glob(pattern):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, target / path.name, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target)


def _put_executor_tests(version: str, tests: Path, work: Path) -> str:
    if version == "3.11":
        shutil.copy2(_from_debian(work) / "test_concurrent_futures.py", tests)
        return "the executor's from Debian's libpython3.11-testsuite"
    found = _of_a_newer_interpreter()
    if found is None:
        raise NoTests(
            f"this Python {version} has no test_concurrent_futures, and no newer interpreter that "
            "has it was found on PATH or in pyenv"
        )
    _copy(found.parent, tests / "newer")
    shutil.move(tests / "newer/test_concurrent_futures", tests)
    shutil.rmtree(tests / "newer")
    with open(tests / "support/__init__.py", "a", encoding="utf-8") as support:
        support.write(_FOR_NEWER_SUITES)
    return f"the executor's from {found.parents[1].name}"


def _from_debian(work: Path) -> Path:
    """The tests of Debian's package, which is downloaded once and not installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoTests("this Python has not all of the tests, and only Debian has a package of them")
    folder = work / "libpython3.11-testsuite"
    tests = folder / "usr/lib/python3.11/test"
    if not tests.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = ["apt-get", "--quiet", "download", "libpython3.11-testsuite"]
        if subprocess.run(fetch, cwd=folder).returncode:
            subprocess.run(["apt-get", "--quiet", "update"])
            if subprocess.run(fetch, cwd=folder).returncode:
                raise NoTests("Debian's libpython3.11-testsuite could not be downloaded")
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), str(folder)], check=True)
    return tests


def _of_a_newer_interpreter() -> Path | None:
    prefixes = [Path(each).resolve().parents[1] for each in _interpreters()]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip()
        prefixes += [Path(each) for each in sorted(glob.glob(f"{root}/versions/*"))]
    for prefix in prefixes:
        for found in sorted(prefix.glob("lib/python3.1[3-9]/test/test_concurrent_futures")):
            return found
    return None


def _interpreters() -> list[str]:
    names = [f"python3.{minor}" for minor in range(13, 20)]
    return [found for name in names if (found := shutil.which(name))]
