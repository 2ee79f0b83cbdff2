"""forkful run [script | - | -m module | -c code]: run a program with forkful as multiprocessing."""

from __future__ import annotations

import argparse
import builtins
import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from types import ModuleType, TracebackType

__all__ = ["main"]

_USAGE = "forkful run [-h] (script.py | - | -m module | -c code) [arguments …]"


def main(argv: list[str] | None = None) -> int:
    """The command line; also `python -m forkful`, where `run` may be left out."""
    args = list(sys.argv[1:] if argv is None else argv)
    is_run = args[:1] == ["run"]
    if is_run:
        del args[0]
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: {_USAGE}\n\n{__doc__}")
        return 0 if args else 2
    if args[0] == "--version":
        from forkful import __version__

        print("forkful", __version__)
        return 0
    parser = argparse.ArgumentParser(usage=_USAGE, add_help=False)
    if args[0] in ("-m", "-c") and len(args) < 2:
        parser.error(f"argument expected for the {args[0]} option")
    from forkful._run.install import install

    install()
    if args[0] == "-m":
        return _run_module(args[1], args[2:])
    if args[0] == "-c":
        return _run_code(args[1], args[2:])
    if args[0] == "-":
        return _run_stdin(args[1:])
    if args[0].startswith("-"):
        parser.error(f"unknown option {args[0]}: the program stands before its own options")
    mistyped = not is_run and args[0].isalpha()
    hint = f"; there is no command {args[0]!r}, only 'run'" if mistyped else ""
    return _run_script(args[0], args[1:], hint)


def _fresh_main(
    file: str | None = None, loader: object = importlib.machinery.BuiltinImporter
) -> ModuleType:
    """A real __main__, as python itself makes it, so that functions can be found by name."""
    module = ModuleType("__main__")
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    module.__loader__ = loader  # type: ignore[assignment]
    if file is not None:
        module.__file__ = file
        module.__cached__ = None  # type: ignore[attr-defined]
    module.__spec__ = None
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    _kept.append(module)
    return module


# The program's globals live until the interpreter's end, as they would have.
_kept: list[ModuleType] = []


@contextlib.contextmanager
def _only_frames_of_the_program() -> Iterator[None]:
    """What the program does not catch is told without the frames that stand around the program."""
    try:
        yield
    except BaseException:
        tell = sys.excepthook

        def hook(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            sys.excepthook = tell
            while trace is not None and not _is_ours(trace):
                trace = trace.tb_next
            while trace is not None and _is_ours(trace):
                trace = trace.tb_next
            sys.last_traceback = trace
            tell(kind, error.with_traceback(trace), trace)

        # Why a hook: whoever prints the error is the interpreter, which also knows what SystemExit
        # and KeyboardInterrupt make of the exit code.
        sys.excepthook = hook
        raise


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename == __file__


def _set_first_folder(folder: str) -> None:
    """Where modules are looked for first; nowhere of the kind under -P or PYTHONSAFEPATH."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run_source(source: str | bytes, file: str, main: ModuleType) -> int:
    with _only_frames_of_the_program():
        exec(compile(source, file, "exec", dont_inherit=True), vars(main))
    return 0


def _run_script(path: str, args: list[str], hint: str) -> int:
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        import runpy

        sys.argv = [path, *args]
        _fresh_main()
        with _only_frames_of_the_program():
            runpy.run_path(path, run_name="__main__")
        return 0
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(
            f"usage: {_USAGE}\nforkful: can't open file {os.path.abspath(path)!r}: "
            f"[Errno {error.errno}] {error.strerror}{hint}",
            file=sys.stderr,
        )
        return 2
    sys.argv = [path, *args]
    _set_first_folder(os.path.dirname(os.path.realpath(path)))
    path = os.path.join(os.getcwd(), path)  # absolute, but not otherwise changed
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    return _run_source(source, path, _fresh_main(path, loader))


def _run_stdin(args: list[str]) -> int:
    sys.argv = ["-", *args]
    _set_first_folder("")
    return _run_source(sys.stdin.buffer.read(), "<stdin>", _fresh_main("<stdin>"))


def _run_module(name: str, args: list[str]) -> int:
    import runpy

    sys.argv = ["-m", *args]
    _set_first_folder(os.getcwd())
    _fresh_main()
    with _only_frames_of_the_program():
        runpy._run_module_as_main(name)  # type: ignore[attr-defined]
    return 0


def _run_code(code: str, args: list[str]) -> int:
    sys.argv = ["-c", *args]
    _set_first_folder("")
    if sys.version_info >= (3, 13):
        # From then on tracebacks show the lines of what was given on the command line.
        import linecache

        linecache.cache["<string>"] = (len(code), None, code.splitlines(True), "<string>")
    return _run_source(code, "<string>", _fresh_main())


if __name__ == "__main__":
    sys.exit(main())
