"""forkful run [options] (script | - | -m module | -c code): a program with forkful in the place of
multiprocessing. The options are python's own: forkful run -W error -O script.py"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main", "resume"]

_USAGE = "forkful run [-h] [option …] (script.py | - | -m module | -c code) [argument …]"
# Python's options of one letter: those that end them, those that take a value, and the others.
_ENDING = "cm"
_WITH_VALUE = "WX"
_PLAIN = "bBdEhiIOPqRsStuvVx?"
_UNKNOWN = "unknown option {}: before the program come python's options, after it its own"
_LONG_WITH_VALUE = "--check-hash-based-pycs"


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
    options, rest = _split(args)
    head = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
    del head[-2 if head[-2:] == ["-m", "forkful"] else -1 :]
    if options and options != ["-x"]:
        _start_again(head, options, rest)
    mistyped = not is_run and rest[0].isalpha()
    return _run(head, options, rest, mistyped)


def resume() -> int:
    """Goes on in the interpreter that has got the program's options."""
    options, rest = _split(sys.argv[1:])
    head = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:]) - 2]
    return _run(head, options, rest, False)


def _fail(text: str) -> NoReturn:
    print(f"usage: {_USAGE}\nforkful: {text}", file=sys.stderr)
    raise SystemExit(2)


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    """Python's options, a word each, and what comes after them: what is run, and its arguments."""
    options: list[str] = []
    left = list(args)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            if word != _LONG_WITH_VALUE or not left:
                _fail(_UNKNOWN.format(word))
            options += [word, left.pop(0)]
            continue
        for place, letter in enumerate(word[1:], 1):
            if letter in _PLAIN:
                options.append(f"-{letter}")
                continue
            if letter not in _ENDING + _WITH_VALUE:
                _fail(_UNKNOWN.format(word))
            value = word[place + 1 :] or (left.pop(0) if left else None)
            if value is None:
                _fail(f"argument expected for the -{letter} option")
            if letter in _ENDING:
                return options, [f"-{letter}", value, *left]
            options += [f"-{letter}", value]
            break
    if not left:
        _fail("no program is named")
    return options, left


def _start_again(head: list[str], options: list[str], rest: list[str]) -> NoReturn:
    """Python's options can be given to an interpreter only when it starts."""
    from forkful._child.prologue import prologue

    code, _ = prologue()
    code += "from forkful._run.command import resume; _code = resume(); _code and sys.exit(_code)"
    plain = [each for each in options if each != "-x"]
    mark = ["-x"] if "-x" in options else []
    sys.stdout.flush()
    sys.stderr.flush()
    given = [*head, *plain, "-c", code, *mark, *rest]
    os.execv(sys.executable, [sys.executable, *given])


def _run(head: list[str], options: list[str], rest: list[str], mistyped: bool) -> int:
    from forkful._run import program
    from forkful._run.install import install

    install()
    sys.orig_argv = [sys.orig_argv[0], *head, *options, *rest]
    if rest[0] == "-m":
        program.run_module(rest[1], rest[2:])
    elif rest[0] == "-c":
        program.run_code(rest[1], rest[2:])
    elif rest[0] == "-":
        program.run_stdin(rest[1:])
    else:
        try:
            run = program.prepare_script(rest[0], rest[1:], "-x" in options)
        except OSError as error:
            hint = f"; there is no command {rest[0]!r}, only 'run'" if mistyped else ""
            path = os.path.abspath(rest[0])
            _fail(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}{hint}")
        run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
