"""The package's wall: which modules are public, and who may import whom."""

from __future__ import annotations

import ast
import multiprocessing
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import forkful
import pytest
from forkful._modules import MIRRORED, OURS
from helpers import run_python

FOLDER = Path(forkful.context.__file__).parent


def modules_in(package, prefix="") -> Iterator[str]:
    for module in pkgutil.iter_modules(package.__path__, prefix):
        yield module.name
        if module.ispkg:
            yield from modules_in(__import__(module.name, fromlist=["x"]), module.name + ".")


ALL = sorted({*modules_in(forkful, "forkful."), "forkful"})
PRIVATE = sorted(name for name in ALL if "._" in name)


def test_public_modules_are_those_that_are_listed():
    public = {name.removeprefix("forkful.") for name in ALL} - {"forkful"}
    assert {name for name in public if not name.startswith("_")} == MIRRORED | OURS


def test_public_modules_have_the_names_of_multiprocessing():
    prefix = "multiprocessing."
    standard = {name.removeprefix(prefix) for name in modules_in(multiprocessing, prefix)}
    assert standard >= MIRRORED
    assert not standard & OURS


def test_no_private_module_can_be_imported_as_multiprocessings():
    done = run_python(f"""
        import forkful, importlib
        forkful.install()
        for name in {PRIVATE}:
            name = name.replace("forkful.", "multiprocessing.")
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            print(name)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ALL)
def test_a_module_can_be_imported_alone(name):
    """In an interpreter that has nothing of the package, not even what importing that imports."""
    done = run_python(f"""
        import sys, types
        package = types.ModuleType("forkful")
        package.__path__ = {list(forkful.__path__)}
        sys.modules["forkful"] = package
        import {name}
        print(hasattr(sys.modules[{name!r}], "__all__") or {name!r})
    """)
    assert (done.returncode, done.stderr) == (0, "")


def imports_of(name: str) -> set[str]:
    """The modules of ours that a module imports, wherever in its source; checkers' left out."""

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                visit(other)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in ALL else node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    path = FOLDER / Path(*name.split(".")[1:])
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        return set()  # the engine
    found: set[str] = set()
    visit(ast.parse(source.read_text()))
    return found & set(ALL)


def test_no_circle_is_in_the_imports():
    above: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in above, f"a circle: {' → '.join([*above[above.index(name) :], name])}"
        if name in done:
            return
        above.append(name)
        for other in sorted(imports_of(name)):
            visit(other)
        done.add(above.pop())

    for name in ALL:
        visit(name)
    assert done == set(ALL)
    assert imports_of("forkful.context") >= {"forkful.process", "forkful.popen_fork"}


def test_the_import_of_a_circle_is_seen(tmp_path, monkeypatch):
    for name, source in (
        ("process", "from forkful import util"),
        ("util", "import forkful.process"),
    ):
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setitem(globals(), "FOLDER", tmp_path)
    monkeypatch.setitem(globals(), "ALL", ["forkful.process", "forkful.util"])
    with pytest.raises(AssertionError, match="a circle"):
        test_no_circle_is_in_the_imports()


def test_the_start_of_a_child_is_its_contexts_matter():
    assert "forkful.popen_fork" not in imports_of("forkful.process")
    with pytest.raises(NotImplementedError, match="get_context"):
        forkful.process.BaseProcess().start()
