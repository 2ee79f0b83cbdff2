"""No process of a program on forkful loads the standard multiprocessing, or what belongs to it."""

from __future__ import annotations

import sys

import forkful
import pytest
from helpers import run

PROGRAM = '''
import sys

def standard_modules():
    """Those of the standard package, its accelerators and its executor that are loaded here."""
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        is_theirs = "/multiprocessing/" in file or "concurrent/futures/process" in file
        if is_theirs or name in ("_multiprocessing", "_posixshmem"):
            found.append(name)
    return found

def look(_=None):
    return standard_modules()

def look_in_child(queue):
    queue.put(standard_modules())

def children(multiprocessing, Executor, method):
    """What each kind of process has loaded."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=look_in_child, args=(queue,))
    child.start()
    yield "process", queue.get()
    child.join()
    with context.Pool(2) as pool:
        yield "pool", sum(pool.map(look, range(4), 1), [])
    with Executor(2, mp_context=context) as executor:
        yield "executor", sum(executor.map(look, range(4)), [])
    with context.Manager() as manager:
        shared = manager.list([1])
        looked = manager.Pool(1).apply(look)
        yield "manager", looked
    parent, other = context.Pipe()
    child = context.Process(target=other.send, args=(multiprocessing.__name__,))
    child.start()
    parent.recv()
    child.join()
    yield "parent", standard_modules()

def main():
    IMPORT
    for kind, found in children(multiprocessing, ProcessPoolExecutor, sys.argv[1]):
        print(multiprocessing.__name__, kind, found, flush=True)

if __name__ == "__main__":
    main()
'''

SUBSTITUTED = """import multiprocessing
    import multiprocessing.pool, multiprocessing.managers, multiprocessing.shared_memory
    from concurrent.futures import ProcessPoolExecutor"""
HOW = {
    "run": SUBSTITUTED,
    "install": f"import forkful; forkful.install()\n    {SUBSTITUTED}",
    "import": "import forkful as multiprocessing\n    from forkful import ProcessPoolExecutor",
}


@pytest.mark.parametrize("method", forkful.get_all_start_methods())
@pytest.mark.parametrize("how", HOW)
def test_no_process_has_a_standard_module(tmp_path, how, method):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("IMPORT", HOW[how]))
    launcher = ["-m", "forkful", "run"] if how == "run" else []
    done = run([sys.executable, *launcher, str(script), method])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"forkful {kind} []" for kind in ("process", "pool", "executor", "manager", "parent")
    ]
