"""forkful run and python -m forkful: a program that is not touched runs on forkful."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers import run

FORKFUL = [sys.executable, "-W", "error", "-m", "forkful"]


def launchers():
    yield pytest.param(FORKFUL, id="python -m forkful")
    yield pytest.param([*FORKFUL, "run"], id="python -m forkful run")
    script = shutil.which("forkful", path=str(Path(sys.executable).parent))
    if script:
        yield pytest.param([script, "run"], id="forkful run")


@pytest.fixture(params=launchers())
def launcher(request):
    return request.param


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


SCRIPT = """
import multiprocessing
import multiprocessing.pool
import os
import sys
from multiprocessing import Pool, Process, Queue

def whose(_=None):
    return multiprocessing.__name__, sys.modules["multiprocessing"].__name__

def put(queue):
    queue.put(whose())

if __name__ == "__main__":
    print(sys.argv[1:], __name__, os.path.basename(__file__), __spec__)
    print(sys.modules["__main__"].whose is whose)
    print(whose())
    queue = Queue()
    child = Process(target=put, args=(queue,))
    child.start()
    print(queue.get())
    child.join()
    with Pool(2) as pool:
        print(set(pool.map(whose, range(5))), pool.apply(whose))
        print(isinstance(pool, multiprocessing.pool.Pool))
    sys.exit(5)
"""


def test_a_script_runs_with_forkful_as_its_multiprocessing(tmp_path, launcher):
    script = write(tmp_path / "script.py", SCRIPT)
    done = run([*launcher, script, "one", "--two", "-c"])
    ours = "('forkful', 'forkful')"
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['one', '--two', '-c'] __main__ script.py None",
        "True",
        ours,
        ours,
        f"{{{ours}}} {ours}",
        "True",
    ]
    assert done.returncode == 5


def test_a_script_finds_its_neighbours(tmp_path, launcher):
    write(tmp_path / "neighbour.py", "import multiprocessing\nname = multiprocessing.__name__\n")
    script = write(
        tmp_path / "script.py",
        "import neighbour, sys\nprint(neighbour.name, sys.argv[0] == sys.argv[1])\n",
    )
    done = run([*launcher, script, script], cwd="/")
    assert (done.stdout, done.stderr) == ("forkful True\n", "")


def test_a_module_runs_with_its_package(tmp_path, launcher):
    write(tmp_path / "package/__init__.py", "")
    write(tmp_path / "package/part.py", "from multiprocessing import current_process as current\n")
    write(
        tmp_path / "package/__main__.py",
        """
from .part import current
from multiprocessing import Pool
import os, sys
def work(n):
    return n + 1
if __name__ == "__main__":
    print(__name__, __package__, __spec__.name, sys.argv[1:])
    print(os.path.basename(sys.argv[0]), current().name, current.__module__)
    with Pool(1) as pool:
        print(pool.map(work, [1, 2]))
""",
    )
    done = run([*launcher, "-m", "package", "a", "-b"], cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "__main__ package package.__main__ ['a', '-b']",
        "__main__.py MainProcess forkful.process",
        "[2, 3]",
    ]


def test_code_runs(launcher):
    code = (
        "import multiprocessing as m, sys\n"
        "def f(n): return n * 2\n"
        "print(m.__name__, sys.argv, __name__)\n"
        "with m.Pool(1) as pool: print(pool.map(f, [1, 2]))\n"
        "sys.exit('sorry')\n"
    )
    done = run([*launcher, "-c", code, "x", "-y"])
    assert done.stdout == "forkful ['-c', 'x', '-y'] __main__\n[2, 4]\n"
    assert (done.stderr, done.returncode) == ("sorry\n", 1)


def as_python_has_it(arguments, **options):
    """The outcome under `forkful run`, which is that under python itself."""
    plain = run([sys.executable, *arguments], **options)
    ours = run([*FORKFUL, "run", *arguments], **options)
    assert (ours.stdout, ours.stderr) == (plain.stdout, plain.stderr)
    assert ours.returncode == plain.returncode
    return ours


ENDS = {
    "raise": "def fail():\n    raise ValueError('mine')\nfail()\n",
    "chain": "try: 1 / 0\nexcept ZeroDivisionError as error: raise ValueError('mine') from error\n",
    "group": "raise ExceptionGroup('some', [ValueError(1), TypeError(2)])\n",
    "inside contextlib": "import contextlib\nwith contextlib.ExitStack() as stack:\n"
    "    stack.callback(divmod, 1, 0)\n",
    "interrupt": "raise KeyboardInterrupt\n",
    "hook": "import sys\n"
    "sys.excepthook = lambda *error: print(error[0], error[2].tb_lineno)\n1 / 0\n",
    "last": "import sys, atexit, traceback\n"
    "atexit.register(lambda: print(len(traceback.extract_tb(sys.last_traceback))))\n1 / 0\n",
    "exit with text": "import sys\nsys.exit('sorry')\n",
    "exit with a code": "import sys\nsys.exit(5)\n",
    "no syntax": "1 +\n",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_as_under_python(tmp_path, end):
    write(tmp_path / "script.py", ENDS[end])
    as_python_has_it(["script.py"], cwd=tmp_path)
    as_python_has_it(["-"], input=ENDS[end])
    as_python_has_it(["-c", ENDS[end]])


def test_main_looks_as_under_python(tmp_path):
    code = (
        "import sys\n"
        "hidden = ('__builtins__', '__loader__')\n"
        "print(sorted(n for n in globals().items() if n[0][:2] == '__' and n[0] not in hidden))\n"
        "print(sys.argv)\n"
        "print(getattr(__loader__, '__name__', None), getattr(__loader__, 'path', None))\n"
    )
    write(tmp_path / "folder/script.py", code)
    as_python_has_it(["folder/script.py", "x"], cwd=tmp_path)
    as_python_has_it(["folder/../folder/script.py"], cwd=tmp_path)
    as_python_has_it(["-", "x"], input=code, cwd=tmp_path)
    as_python_has_it(["-c", code, "x"], cwd=tmp_path)


def test_a_program_is_compiled_without_our_flags(tmp_path):
    write(tmp_path / "script.py", "def f(a: int): pass\nprint(f.__annotations__)\n")
    assert as_python_has_it([tmp_path / "script.py"]).stdout == "{'a': <class 'int'>}\n"


def test_what_cannot_be_run_is_said(launcher, tmp_path):
    missing = str(tmp_path / "missing.py")
    for arguments, code, words in (
        ([missing], 2, f"can't open file '{missing}': [Errno 2] No such file or directory"),
        (["test"], 2, "[Errno 2] No such file or directory"),
        (["-m", "no_such_module_here"], 1, "No module named no_such_module_here"),
        (["-m"], 2, "argument expected for the -m option"),
        (["-c"], 2, "argument expected for the -c option"),
        (["--colour"], 2, "unknown option --colour"),
        (["--n", "script.py"], 2, "option --n: before the program come python's options, after"),
    ):
        done = run([*launcher, *arguments])
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_mistyped_command_is_told_with_the_usage(tmp_path):
    launcher = [sys.executable, "-m", "forkful"]
    said = run([*launcher, "rnu", "script.py"], cwd=tmp_path).stderr
    assert "there is no command 'rnu', only 'run'" in said
    assert said.count("forkful: ") == 1
    assert "usage: forkful run" in said
    said = run([*launcher, "run", "missing"], cwd=tmp_path).stderr
    assert "no command" not in said
    assert "can't open file" in said


def test_help_and_version(launcher):
    done = run([*launcher, "--help"])
    assert (done.returncode, done.stdout.split()[0]) == (0, "usage:")
    done = run([*launcher, "--version"])
    assert (done.returncode, done.stdout.split()[0]) == (0, "forkful")
    assert run(launcher).returncode == 2


def test_a_folder_and_an_archive_run_like_scripts(tmp_path, launcher):
    folder = tmp_path / "program"
    code = "import multiprocessing as m, sys\nprint(m.__name__, sys.argv[1:])\n"
    write(folder / "__main__.py", code)
    shutil.make_archive(str(folder), "zip", folder)
    for path in (folder, f"{folder}.zip"):
        done = run([*launcher, str(path), "x"])
        assert (done.stdout, done.stderr) == ("forkful ['x']\n", "")


def test_globals_are_the_programs_own(tmp_path):
    script = write(tmp_path / "script.py", "print(sorted(n for n in globals() if n[0] != '_'))\n")
    assert run([*FORKFUL, script]).stdout == "[]\n"


def test_the_executor_of_concurrent_futures_is_ours(tmp_path):
    script = write(
        tmp_path / "script.py",
        "import concurrent.futures\n"
        "import concurrent.futures.process\n"
        "from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed\n"
        "from concurrent.futures.process import BrokenProcessPool\n"
        "assert concurrent.futures.ProcessPoolExecutor is ProcessPoolExecutor\n"
        "print(list(ThreadPoolExecutor().map(abs, [-1])))\n"
        "with ProcessPoolExecutor(2) as executor:\n"
        "    print(list(executor.map(abs, [-2])), executor.submit(abs, -3).result())\n"
        "print(ProcessPoolExecutor.__module__, issubclass(BrokenProcessPool, RuntimeError))\n",
    )
    done = run([*FORKFUL, script])
    assert (done.stdout, done.stderr) == ("[1]\n[2] 3\nforkful.futures True\n", "")


STANDARD = """
import sys
def standard_files():
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if "/multiprocessing/" in file or "concurrent/futures/process" in file:
            found.append(file)
        if name.split(".")[0] in ("_multiprocessing", "_posixshmem"):
            found.append(name)
    return found
"""

EVERYTHING = (
    STANDARD
    + """
import concurrent.futures, multiprocessing, multiprocessing.pool, multiprocessing.queues
import multiprocessing.managers, multiprocessing.shared_memory, multiprocessing.connection
import multiprocessing.synchronize, multiprocessing.sharedctypes, multiprocessing.dummy
import multiprocessing.context, multiprocessing.process, multiprocessing.util
import multiprocessing.reduction, concurrent.futures.process
import logging, threading
from multiprocessing import *

def look(_=None):
    logging.getLogger().isEnabledFor(10)
    return standard_files()

def main():
    print(look())
    queue = multiprocessing.Queue()
    child = multiprocessing.Process(target=lambda: queue.put(look()))
    child.start(); child.join(); print(queue.get())
    with multiprocessing.Pool(1) as pool:
        pool.apply_async(look, callback=print).wait()
        print(pool.map(look, [0]), list(pool.imap(look, iter([0]))))
    value, lock = multiprocessing.Value("i"), multiprocessing.RLock()
    event = multiprocessing.Event()
    value.value += 1; event.set(); event.wait(); lock.acquire()
    multiprocessing.log_to_stderr("CRITICAL")
    print(look())

main()
"""
)


@pytest.mark.parametrize("how", ["run", "import", "install"])
def test_no_standard_module_is_loaded_in_any_process(how):
    code, command = EVERYTHING, [sys.executable, "-c"]
    if how == "run":
        command = [*FORKFUL, "-c"]
    elif how == "install":
        code = "import forkful; forkful.install()\n" + code
    else:
        code = STANDARD + IMPORTED
    done = run([*command, code])
    assert done.stderr == ""
    assert set(done.stdout.replace("[[]]", "[]").split()) == {"[]"}


IMPORTED = """
import forkful as multiprocessing
import forkful.managers, forkful.shared_memory, forkful.connection, forkful.dummy
import forkful.sharedctypes, forkful.synchronize, forkful.queues, forkful.pool
def look(_=None):
    return standard_files()
print(look())
queue = multiprocessing.Queue()
child = multiprocessing.Process(target=lambda: queue.put(look()))
child.start(); child.join(); print(queue.get())
with multiprocessing.Pool(1) as pool:
    print(pool.map(look, [0]), list(pool.imap(look, iter([0]))))
print(look())
"""


def test_the_extension_links_no_standard_module():
    from forkful import _core

    assert os.path.basename(_core.__file__).startswith("_core")
    text = Path(_core.__file__).read_bytes()
    assert b"_multiprocessing" not in text
    assert b"_posixshmem" not in text


def test_a_safe_path_stays_safe(tmp_path):
    write(tmp_path / "beside.py", "")
    script = write(tmp_path / "script.py", "import beside\n")
    done = run([*FORKFUL, script], env={**os.environ, "PYTHONSAFEPATH": "1"})
    assert done.returncode == 1
    assert "No module named 'beside'" in done.stderr


@pytest.mark.parametrize("end", ["raise KeyError(3)", "raise KeyboardInterrupt", "sys.exit(7)", ""])
def test_however_a_program_ends_its_launcher_ends_so(launcher, tmp_path, end):
    script = write(tmp_path / "script.py", f"import sys\nprint(__name__)\n{end}\n")
    plain = run([sys.executable, script])
    ours = run([*launcher, script])
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )
