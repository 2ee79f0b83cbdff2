"""Runs a program in this process as the interpreter itself would have run it.

What it can see is what python gives it: __main__ and its attributes, sys.argv, sys.path,
sys.orig_argv, and tracebacks that begin with its own frames.
"""

from __future__ import annotations

import builtins
import os
import sys
from _frozen_importlib import BuiltinImporter
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, SourcelessFileLoader

from forkful import _core

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType

__all__ = ["prepare_script", "run_code", "run_module", "run_stdin"]

# The program's globals live until the interpreter's end, as they would have.
_kept: list[ModuleType] = []


def prepare_script(path: str, args: list[str], skip_first_line: bool = False) -> Callable[[], None]:
    """What runs a script, what one was compiled to, or a folder or an archive with a __main__.

    Raises:
        OSError: It cannot be read.
    """
    if _is_place_of_modules(path):
        return lambda: _run_place(path, args)
    with open(path, "rb") as file:
        source = file.read()
    if skip_first_line:
        source = b"\n" + source.partition(b"\n")[2]
    return lambda: _run_file(path, args, source)


def _run_place(path: str, args: list[str]) -> None:
    sys.argv = [path, *args]
    sys.path[: 0 if sys.flags.safe_path else 1] = [os.path.join(os.getcwd(), path)]
    _run_module_as_main("__main__", False)


def _run_file(path: str, args: list[str], source: bytes) -> None:
    sys.argv = [path, *args]
    _set_first_folder(os.path.dirname(os.path.realpath(path)))
    path = os.path.join(os.getcwd(), path)  # absolute, but not otherwise changed
    if path.endswith(".pyc") or source[:2] == MAGIC_NUMBER[:2]:
        loader = SourcelessFileLoader("__main__", path)
        main = _fresh_main(path, loader)
        with _Told():
            _core.alone(exec, loader.get_code("__main__"), vars(main))
    else:
        _run_source(source, path, _fresh_main(path, SourceFileLoader("__main__", path)))


def run_stdin(args: list[str]) -> None:
    """Run what comes by standard input; from a terminal, interactively.

    Raises:
        Exception: What the program raises.
    """
    sys.argv = ["-", *args]
    _set_first_folder("")
    if sys.stdin.isatty():
        import code

        main = _fresh_main()
        code.interact(local=vars(main), exitmsg="")
        return
    _run_source(sys.stdin.buffer.read(), "<stdin>", _fresh_main("<stdin>"))


def run_module(name: str, args: list[str]) -> None:
    """Run a module as `python -m` does.

    Raises:
        SystemExit: There is no such module.
        Exception: What the program raises.
    """
    sys.argv = ["-m", *args]
    _set_first_folder(os.getcwd())
    _run_module_as_main(name, True)


def run_code(code: str, args: list[str]) -> None:
    """Run a text as `python -c` does.

    Raises:
        Exception: What the program raises.
    """
    sys.argv = ["-c", *args]
    _set_first_folder("")
    if sys.version_info >= (3, 13):
        # From then on tracebacks show the lines of what was given on the command line.
        import linecache

        linecache.cache["<string>"] = (len(code), None, code.splitlines(True), "<string>")
    _run_source(code, "<string>", _fresh_main())


def _is_place_of_modules(path: str) -> bool:
    """Whether a module could be imported from it: a folder, a zip file, or what a hook knows."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _fresh_main(file: str | None = None, loader: object = BuiltinImporter) -> ModuleType:
    """A real __main__, as python itself makes it, so that functions can be found by name."""
    module = type(sys)("__main__")
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    module.__loader__ = loader  # type: ignore[assignment]
    if file is not None:
        module.__file__ = file
        module.__cached__ = None  # type: ignore[attr-defined]
    module.__spec__ = None
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    # The interpreter does not hold the one that it has begun with, and touches it at the end.
    _kept.extend((sys.modules["__main__"], module))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    return module


def _set_first_folder(folder: str) -> None:
    """Where modules are looked for first; nowhere of the kind under -P or PYTHONSAFEPATH."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run_module_as_main(name: str, alter_argv: bool) -> None:
    import runpy

    _fresh_main()
    with _Told():
        _core.alone(runpy._run_module_as_main, name, alter_argv)  # type: ignore[attr-defined]


def _run_source(source: str | bytes, file: str, main: ModuleType) -> None:
    with _Told():
        _core.alone(exec, compile(source, file, "exec", dont_inherit=True), vars(main))


class _Told:
    """What the program does not catch is told without the frames that are around the program."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            # Why a hook: whoever prints the error is the interpreter, which also knows what
            # SystemExit and KeyboardInterrupt make of the exit code.
            sys.excepthook = _telling_of_the_program(sys.excepthook)


def _telling_of_the_program(tell: Callable[..., object]) -> Callable[..., object]:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.excepthook = tell
        while trace is not None and not _is_ours(trace):
            trace = trace.tb_next
        while trace is not None and _is_ours(trace):
            trace = trace.tb_next
        sys.last_traceback = trace
        tell(kind, error.with_traceback(trace), trace)

    return hook


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename == __file__
