"""The stub of the extension module names what the module has, no more and no less."""

from __future__ import annotations

import ast
import builtins
import inspect
from pathlib import Path

import forkful
import pytest
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


# What a slot of a C type is called with is not in its docstring.
SLOTS = {"__init__", "__new__", "__iter__", "__next__", "__buffer__", "__class_getitem__"}


NOT_OPTIONAL = "has to be given"


class _Unsaid:
    """The stub's `...`: some default."""

    def __eq__(self, default: object) -> bool:
        return default != NOT_OPTIONAL

    __hash__ = None


def default_in_stub(default: ast.expr | None) -> object:
    if default is None:
        return NOT_OPTIONAL
    value = ast.literal_eval(default)
    return _Unsaid() if value is ... else value


def arguments_in_stub(function: ast.FunctionDef) -> list[tuple[str, str, object]]:
    """Each argument but self: its name, how it is given, and its default."""
    spec = function.args
    named = [*spec.posonlyargs, *spec.args]
    defaults = [*[None] * (len(named) - len(spec.defaults)), *spec.defaults]
    found = []
    for place, (arg, default) in enumerate(zip(named, defaults, strict=True)):
        kind = "positional" if place < len(spec.posonlyargs) else "either"
        found.append((arg.arg, kind, default_in_stub(default)))
    if spec.vararg is not None:
        found.append((spec.vararg.arg, "rest", NOT_OPTIONAL))
    for arg, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        found.append((arg.arg, "named", default_in_stub(default)))
    return found


def arguments_of(function: object) -> list[tuple[str, str, object]]:
    words = {
        inspect.Parameter.POSITIONAL_ONLY: "positional",
        inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
        inspect.Parameter.VAR_POSITIONAL: "rest",
        inspect.Parameter.KEYWORD_ONLY: "named",
    }
    return [
        (
            each.name,
            words[each.kind],
            NOT_OPTIONAL if each.default is inspect.Parameter.empty else each.default,
        )
        for each in inspect.signature(function).parameters.values()
    ]


def functions_of_the_module() -> dict[str, tuple[ast.FunctionDef, object]]:
    """Every function and method of the stub, with what it stands for."""
    found: dict[str, tuple[ast.FunctionDef, object]] = {}
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node, getattr(_core, node.name)
        elif isinstance(node, ast.ClassDef):
            kind = getattr(_core, node.name)
            for method in node.body:
                if not isinstance(method, ast.FunctionDef) or method.decorator_list:
                    continue
                if method.name not in SLOTS:
                    found[f"{node.name}.{method.name}"] = method, getattr(kind, method.name)
    return found


FUNCTIONS = functions_of_the_module()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stub_has_the_signature_that_the_docstring_has(name):
    stub, function = FUNCTIONS[name]
    assert arguments_of(function)[name.count(".") :] == arguments_in_stub(stub)[name.count(".") :]


def test_classes_have_the_signature_of_the_stub():
    for node in STUB.body:
        if not isinstance(node, ast.ClassDef):
            continue
        makers = [
            each
            for each in node.body
            if isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__")
        ]
        if makers:
            kind = getattr(_core, node.name)
            assert arguments_of(kind) == arguments_in_stub(makers[0])[1:], node.name
