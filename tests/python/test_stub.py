"""The stub of the extension module names what the module has, no more and no less."""

from __future__ import annotations

import ast
import builtins
import inspect
from pathlib import Path

import forkful
from forkful import _core

STUB = ast.parse((Path(forkful.__file__).parent / "_core.pyi").read_text())
# What every class or module has without saying so; of these a stub tells what it finds worth it.
ALWAYS = {
    *dir(type("", (), {})),
    *dir(builtins.object),
    "__new__",
    "__name__",
    "__loader__",
    "__file__",
}
# A protocol whose method C types have from Python 3.12 on.
SPELT_BY_VERSION = {"__buffer__", "__release_buffer__"}


def names_in_stub(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names - ALWAYS - SPELT_BY_VERSION


def own_names(namespace: object) -> set[str]:
    return set(vars(namespace)) - ALWAYS - SPELT_BY_VERSION - {"__package__", "__spec__"}


def test_the_stub_names_what_the_module_has():
    assert names_in_stub(STUB.body) == own_names(_core)


def test_the_stub_names_what_each_class_has():
    for node in STUB.body:
        if isinstance(node, ast.ClassDef):
            kind = getattr(_core, node.name)
            assert inspect.isclass(kind)
            assert names_in_stub(node.body) == own_names(kind), node.name
