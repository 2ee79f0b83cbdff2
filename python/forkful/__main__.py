"""forkful run [script | -m module | -c code]: run a program with forkful as its multiprocessing."""

from __future__ import annotations

import argparse
import builtins
import os
import sys
from types import ModuleType

__all__ = ["main"]

_USAGE = "forkful run [-h] (script.py | -m module | -c code) [arguments …]"


def main(argv: list[str] | None = None) -> int:
    """The command line; also `python -m forkful`, where `run` may be left out."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args and args[0] == "run":
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
    from forkful.install import install

    install()
    if args[0] == "-m":
        return _run_module(args[1], args[2:])
    if args[0] == "-c":
        return _run_code(args[1], args[2:])
    if args[0].startswith("-"):
        parser.error(f"unknown option {args[0]}: the program stands before its own options")
    return _run_script(args[0], args[1:])


def _fresh_main(file: str | None = None) -> ModuleType:
    """A real __main__, so that the program's functions can be found by name."""
    module = ModuleType("__main__")
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    if file is not None:
        module.__file__ = file
    module.__spec__ = None
    sys.modules["__main__"] = module
    _kept.append(module)
    return module


# The program's globals live until the interpreter's end, as they would have.
_kept: list[ModuleType] = []


def _run_script(path: str, args: list[str]) -> int:
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        import runpy

        sys.argv = [path, *args]
        _fresh_main()
        runpy.run_path(path, run_name="__main__")
        return 0
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"forkful: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    sys.argv = [path, *args]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    exec(compile(source, path, "exec"), vars(_fresh_main(path)))
    return 0


def _run_module(name: str, args: list[str]) -> int:
    import runpy

    sys.argv = ["-m", *args]
    sys.path[0] = os.getcwd()
    _fresh_main()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]
    return 0


def _run_code(code: str, args: list[str]) -> int:
    sys.argv = ["-c", *args]
    sys.path[0] = ""
    exec(compile(code, "<string>", "exec"), vars(_fresh_main()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
