"""Objects of the standard package in children of ours, as programs have them by a module of theirs.

What is put into a standard queue is written by a thread, for which a child waits at its end.
"""

from __future__ import annotations

import sys
import textwrap

import pytest
from helpers import run, run_python

BOTH = """
    import forkful, multiprocessing as standard, os, sys, time, warnings
    # From 3.12 on a fork warns of the thread of a standard queue, which is what is tried here.
    warnings.simplefilter("ignore", DeprecationWarning)

    def put(queue, *things):
        for thing in things:
            queue.put(thing)
"""


def outcome(code):
    done = run_python(BOTH + code)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_what_a_child_puts_into_a_standard_queue_arrives():
    assert outcome("""
    queue = standard.Queue()
    put(queue, "before")
    print(queue.get(timeout=30))
    large = b"x" * 50_000  # more than the thread writes before the child's function has returned
    child = forkful.Process(target=put, args=(queue, "first", large))
    child.start()
    child.join()
    print(queue.get(timeout=30), len(queue.get(timeout=30)), child.exitcode)
    """) == ["before", "first 50000 0"]


@pytest.mark.parametrize(
    "made", ["forkful.Pool(2)", "forkful.ProcessPoolExecutor(2, forkful.get_context('fork'))"]
)
def test_what_workers_put_into_a_standard_queue_arrives(made):
    assert outcome(f"""
    queue = standard.Queue()
    put(queue, "before")
    print(queue.get(timeout=30))
    def work(number):
        queue.put(number)
    pool = {made}
    list(pool.map(work, range(6)))
    if hasattr(pool, "close"):
        pool.close()
        pool.join()
    else:
        pool.shutdown()
    print(sorted(queue.get(timeout=30) for _ in range(6)))
    """) == ["before", "[0, 1, 2, 3, 4, 5]"]


def test_a_standard_queue_that_was_made_before_install_loses_nothing():
    assert outcome("""
    queue = standard.Queue()
    put(queue, "before")
    print(queue.get(timeout=30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forkful.install()
    import multiprocessing
    child = multiprocessing.Process(target=put, args=(queue, "from child"))
    child.start()
    print(type(child).__module__, queue.get(timeout=30))
    child.join()
    """) == ["before", "forkful.context from child"]


def test_a_child_leaves_its_parents_standard_children_and_finalizers_alone():
    assert outcome("""
    import signal
    from multiprocessing.util import Finalize
    other = standard.Process(target=signal.pause, daemon=True)
    other.start()
    Finalize(None, print, ("finalizer",), exitpriority=0)
    child = forkful.Process()
    child.start()
    child.join()
    print(child.exitcode, other.is_alive())
    other.kill()
    """) == ["0 True", "finalizer"]


def test_a_standard_finalizer_runs_at_a_childs_end_and_does_not_change_its_exit_code():
    assert outcome("""
    from multiprocessing import util
    def register():
        util.Finalize(None, print, ("finalizer",), exitpriority=0)
        sys.exit(5)
    child = forkful.Process(target=register)
    child.start()
    child.join()
    print(child.exitcode)
    """) == ["finalizer", "5"]


def test_an_error_of_the_standard_end_is_printed_and_changes_no_exit_code():
    done = run_python(
        BOTH
        + """
    from multiprocessing import util
    def replace():
        util._exit_function = lambda: 1 // 0
        sys.exit(5)
    child = forkful.Process(target=replace)
    child.start()
    child.join()
    print(child.exitcode)
    """
    )
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.endswith("ZeroDivisionError: integer division or modulo by zero\n")


def test_a_spawned_child_waits_for_its_standard_queue():
    lines = outcome("""
    def relay():
        import multiprocessing, os
        queue = multiprocessing.Queue()
        if os.fork() == 0:
            print(queue.get(timeout=30), len(queue.get(timeout=30)), flush=True)
            os._exit(0)
        queue.put("spawned")
        queue.put(b"x" * 50_000)
    child = forkful.get_context("spawn").Process(target=relay)
    child.start()
    child.join()
    print(child.exitcode)
    """)
    assert sorted(lines) == ["0", "spawned 50000"]


PROGRAM = """
    import forkful as multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    def keep(value):
        global kept
        kept = value

    def add(number):
        return kept + number

    if __name__ == "__main__":
        context = multiprocessing.get_context({method!r})
        with ProcessPoolExecutor(2, context, keep, (5,)) as executor:
            print(executor.submit(abs, -1).result(30))
            print(list(executor.map(add, range(6), chunksize=2)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_standard_executor_takes_a_context_of_ours(tmp_path, method):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM.format(method=method)))
    done = run([sys.executable, str(script)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1\n[5, 6, 7, 8, 9, 10]\n"


def test_a_standard_connection_and_queue_are_handed_to_a_spawned_child():
    assert outcome("""
    def relay(queue, connection):
        queue.put(connection.recv())
    queue = standard.get_context("spawn").Queue()
    ours, other = standard.Pipe()
    child = forkful.get_context("spawn").Process(target=relay, args=(queue, other))
    child.start()
    ours.send("sent")
    child.join()
    print(child.exitcode, queue.get(timeout=30))
    """) == ["0 sent"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_main_module_that_imports_the_standard_package_is_found_in_its_children(tmp_path, method):
    script = tmp_path / "program.py"
    script.write_text(f"""if True:
    import forkful, multiprocessing
    def tell():
        print(__name__)
    if __name__ == "__main__":
        child = forkful.get_context({method!r}).Process(target=tell)
        child.start()
        child.join()
    """)
    done = run([sys.executable, str(script)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "__mp_main__\n", "")
