"""Under `forkful run` a program sees exactly what the interpreter would give it."""

from __future__ import annotations

import os
import py_compile
import shutil
import sys
import zipfile

import pytest
from helpers import run

FORKFUL = [sys.executable, "-m", "forkful", "run"]

LOOK = """
import sys
def look():
    main = sys.modules["__main__"]
    print({name: value for name, value in sorted(vars(main).items()) if name[:2] == "__"
           and name not in ("__builtins__", "__loader__", "__spec__", "__doc__")})
    spec = main.__spec__
    print(main.__doc__, getattr(spec, "name", None), getattr(spec, "origin", None))
    print(type(main.__loader__).__name__, getattr(main.__loader__, "__name__", None),
          getattr(main.__loader__, "path", None), getattr(main.__loader__, "archive", None))
    print(main.__builtins__ is __import__("builtins"))
    print(sys.argv, sys.orig_argv[1:])
    print(sys.path)
    print(sys.flags, sys.warnoptions, sys._xoptions, __debug__, sys.dont_write_bytecode)
look()
"""


def as_python_has_it(arguments, code=0, **options):
    plain = run([sys.executable, *arguments], **options)
    ours = run([*FORKFUL, *arguments], **options)
    assert (ours.stdout, ours.stderr) == (plain.stdout, plain.stderr)
    assert ours.returncode == plain.returncode == code
    return ours.stdout


@pytest.fixture
def places(tmp_path):
    """The same program as a script, compiled, in a folder, in an archive and in a package."""
    (tmp_path / "script.py").write_text(LOOK)
    (tmp_path / "no_suffix").write_text("#!/usr/bin/env python\n" + LOOK)
    (tmp_path / "link.py").symlink_to("folder/__main__.py")
    py_compile.compile(tmp_path / "script.py", tmp_path / "compiled.pyc")
    py_compile.compile(tmp_path / "script.py", tmp_path / "compiled_too")
    for name in ("folder", "package", "package/inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__main__.py").write_text(LOOK)
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "package/part.py").write_text(f'"""A part."""\n{LOOK}')
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(tmp_path / "script.py", "__main__.py")
        archive.write(tmp_path / "script.py", "module.py")
    shutil.copy2(tmp_path / "archive.zip", tmp_path / "archive_without_suffix")
    return tmp_path


PROGRAMS = [
    ["script.py"],
    ["./folder/../script.py", "-x", "--", "y"],
    ["no_suffix", "x"],
    ["link.py"],
    ["compiled.pyc"],
    ["compiled_too"],
    ["folder", "x"],
    ["archive.zip", "x"],
    ["archive_without_suffix"],
    ["-m", "script", "x"],
    ["-mscript", "x"],
    ["-m", "package", "-m", "x"],
    ["-m", "package.part"],
    ["-m", "package.inner"],
    ["-c", LOOK, "x", "-c"],
    ["-", "x"],
]


@pytest.mark.parametrize("arguments", PROGRAMS, ids=lambda words: " ".join(words)[:30].strip())
def test_whatever_is_run(places, arguments):
    if arguments[0] == "-mscript":  # that it was one word is not kept
        ours = run([*FORKFUL, *arguments], cwd=places)
        assert ours.stdout == as_python_has_it(["-m", "script", "x"], cwd=places)
        return
    as_python_has_it(arguments, cwd=places, input=LOOK)


def test_a_module_in_an_archive(places):
    environment = {**os.environ, "PYTHONPATH": str(places / "archive.zip")}
    as_python_has_it(["-m", "module"], cwd=places, env=environment)


OPTIONS = [
    ["-W", "error"],
    ["-W", "ignore::UserWarning", "-W", "error::FutureWarning"],
    ["-O"],
    ["-O", "-O", "-B"],
    ["-X", "dev"],
    ["-X", "utf8=1", "-X", "mine=yes"],
    ["-b", "-b"],
    ["-u"],
    ["-I"],
    ["-E"],
    ["-S"],
    ["-s"],
    ["-P"],
    ["-E", "-S", "-O"],
    ["-I", "-S"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("program", [["script.py", "x"], ["-c", LOOK, "-O"], ["-m", "script"]])
def test_options_of_python_are_given_to_python(places, options, program):
    plain = run([sys.executable, *options, *program], cwd=places)
    if plain.returncode:  # -I and -P keep `-m` from finding it
        ours = run([*FORKFUL, *options, *program], cwd=places)
        assert (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr)
        return
    as_python_has_it([*options, *program], cwd=places)


def test_options_in_one_word(places):
    done = run([*FORKFUL, "-OBWerror", "-Xdev", "-Im", "platform", "-h"], cwd=places)
    assert done.returncode == 0
    done = run([*FORKFUL, "-OBWerror", "-Xmine=1", "-Ic", LOOK], cwd=places)
    assert "['error'] {'mine': '1'} False True" in done.stdout
    assert "isolated=1" in done.stdout


def test_options_of_the_interpreter_that_runs_us_stay(places):
    command = [sys.executable, "-W", "error", "-X", "mine=1"]
    plain = run([*command, "-O", "script.py"], cwd=places)
    ours = run([*command, "-m", "forkful", "run", "-O", "script.py"], cwd=places)
    assert ours.stdout == plain.stdout
    plain = run([*command, "script.py"], cwd=places)
    ours = run([*command, "-m", "forkful", "script.py"], cwd=places)
    assert ours.stdout == plain.stdout


def test_forkful_stands_in_under_each_option(places):
    code = "import multiprocessing; print(multiprocessing.__name__)"
    for options in OPTIONS:
        done = run([*FORKFUL, *options, "-c", code], cwd=places)
        assert (done.stdout, done.stderr) == ("forkful\n", "")


def test_the_first_line_is_skipped(tmp_path):
    (tmp_path / "script.py").write_text("this is no python\nprint('ran')\n1 / 0\n")
    as_python_has_it(["-x", "script.py"], code=1, cwd=tmp_path)
    as_python_has_it(["-x", "-O", "script.py"], code=1, cwd=tmp_path)


def test_python_stays_to_be_asked(tmp_path):
    (tmp_path / "script.py").write_text("answer = 42\n")
    plain = run([sys.executable, "-i", "script.py"], cwd=tmp_path, input="print(answer)\n")
    ours = run([*FORKFUL, "-i", "script.py"], cwd=tmp_path, input="print(answer)\n")
    assert "42" in ours.stdout
    assert (ours.stdout, ours.stderr) == (plain.stdout, plain.stderr)


def test_a_script_may_be_a_pipe(tmp_path):
    done = run(["sh", "-c", f"echo 'print(6 * 7)' | {' '.join(FORKFUL)} /dev/stdin"])
    assert (done.stdout, done.stderr) == ("42\n", "")


FAILURES = {
    "module": ["-m", "failing"],
    "package without main": ["-m", "package"],
    "no such module": ["-m", "nothing.there"],
    "compiled": ["failing.pyc"],
    "folder": ["folder"],
    "folder without main": ["empty"],
    "not compiled by this": ["wrong.pyc"],
}


@pytest.mark.parametrize("arguments", FAILURES.values(), ids=FAILURES)
def test_failures_are_told_alike(tmp_path, arguments):
    code = "def fail():\n    raise ValueError('mine')\nfail()\n"
    (tmp_path / "failing.py").write_text(code)
    py_compile.compile(tmp_path / "failing.py", tmp_path / "failing.pyc")
    for name in ("folder", "empty", "package"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder/__main__.py").write_text(code)
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "wrong.pyc").write_bytes(b"\0" * 40)
    if arguments == ["wrong.pyc"]:
        ours = run([*FORKFUL, *arguments], cwd=tmp_path)
        assert ours.returncode == 1
        assert "bad magic number" in ours.stderr.lower()
        return
    as_python_has_it(arguments, code=1, cwd=tmp_path)


FRAMES = """
import faulthandler, inspect, sys, traceback, warnings
def look():
    print([frame.name for frame in traceback.extract_stack()])
    print([each.function for each in inspect.stack()])
    warnings.warn("mine", stacklevel=3)
    warnings.warn("mine too", stacklevel=9)
    faulthandler.dump_traceback(all_threads=False)
print(sys._getframe().f_back if __name__ != "__main__" or not __spec__ else None)
look()
def deep(n=0):
    try: return deep(n + 1)
    except RecursionError: return n
print(deep() > 900)
class Late:
    def __del__(self): print([frame.name for frame in traceback.extract_stack()][-1])
late = Late()
del late
look()
"""


@pytest.mark.parametrize("arguments", [["script.py"], ["-m", "script"], ["-c", FRAMES], ["-"]])
def test_there_are_no_frames_around_a_program(tmp_path, arguments):
    (tmp_path / "script.py").write_text(FRAMES)
    as_python_has_it(arguments, cwd=tmp_path, input=FRAMES)
