"""What an import of the package brings along: each process of a program pays for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import forkful
from helpers import run_python

# Where the package lies: the source tree, and beside it what was built.
FOLDER = Path(forkful.context.__file__).parent.parent

_LOAD = f"""
import os
import sys
import _frozen_importlib, _frozen_importlib_external
spec = _frozen_importlib_external.PathFinder.find_spec("forkful", {[str(FOLDER)]})
spec.submodule_search_locations[:] = {list(forkful.__path__)}
before = set(sys.modules)
_frozen_importlib._load(spec)
"""


def new_modules(code: str) -> set[str]:
    """What is imported by `code`, which may use forkful, in an interpreter without its site."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"{_LOAD}{code}\nprint(*set(sys.modules) - before)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_package_brings_along_no_more_than_it_needs():
    modules = new_modules("")
    assert "forkful.context" in modules
    assert {name for name in modules if name.partition(".")[0] != "forkful"} <= {
        "__future__",
        "__mp_main__",
        "_weakref",
        "atexit",
        "itertools",
        "select",
    }
    assert "forkful.reduction" not in modules


def test_a_pool_brings_along_pickle_and_little_else():
    of_pickle = new_modules("import _pickle, _weakrefset")
    of_pool = new_modules("import forkful.pool") - of_pickle
    assert {name for name in of_pool if name.partition(".")[0] != "forkful"} == set()


def test_names_whose_modules_come_late_are_there():
    modules = new_modules("import forkful\nassert forkful.reducer.ForkingPickler")
    assert "forkful.reduction" in modules
    assert "reducer" in dir(forkful)


def test_an_item_that_needs_pickle_finds_it():
    assert "queue" in new_modules("""
import forkful
queue = forkful.SimpleQueue()
queue.put({1, 2})
assert queue.get() == {1, 2}
""")


def test_what_runs_after_a_fork_is_made_when_it_is_needed():
    assert "weakref" in new_modules("""
from forkful import _fork
_fork.run_after_forkers()
assert "weakref" not in sys.modules
class Thing: pass
things = [Thing(), Thing()]
_fork.register_after_fork(things[0], lambda thing: seen.append(thing is things[0]))
seen = []
_fork.run_after_forkers()
assert seen == [True]
assert len(_fork.after_fork) == 1
""")


def test_modules_are_there_as_attributes_without_an_import_of_their_own():
    done = run_python("""
        import forkful
        print(forkful.util.get_logger().name, forkful.connection.wait([], 0), forkful.queues.Empty)
        print(hasattr(forkful, "nothing"), hasattr(forkful, "popen_spawn_win32"))
    """)
    assert done.stderr == ""
    assert done.stdout == "multiprocessing [] <class '_queue.Empty'>\nFalse False\n"
