"""install() after others have used the standard package, and where tools call it."""

from __future__ import annotations

import sys

import forkful
import pytest
from helpers import run, run_python


def outcome(code, *arguments):
    done = run_python(code, *arguments)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


HOLDERS = """
    import sys, types, warnings
    def module(name, source):
        sys.modules[name] = types.ModuleType(name)
        exec(source, vars(sys.modules[name]))
    module("early", "import multiprocessing.pool as p\\nfrom multiprocessing import Process, Queue")
    module("objects", "import multiprocessing as m\\nlock = m.Lock()\\ndel m")
    module("executor", "from concurrent.futures import ProcessPoolExecutor as Executor")
    module("innocent", "import concurrent.futures, queue\\nfrom queue import Empty")
    class Trap:
        def __getattr__(self, name): raise SystemExit("do not ask me")
    module("lazy", "")
    sys.modules["lazy"].trap = Trap()
"""


def test_modules_that_hold_standard_names_are_told():
    assert outcome(
        HOLDERS
        + """
    import forkful
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forkful.install()
        forkful.install()
    (warning,) = caught
    print(warning.category.__name__, warning.filename)
    for part in str(warning.message).split(": ", 1)[1].split(". ")[0].split("; "):
        print(part)
    for name, held in forkful.status()["bound_before"].items():
        print(name, held)
    forkful.uninstall()
    print(forkful.status()["bound_before"])
    """
    ) == [
        "RuntimeWarning <string>",
        "early has Process, Queue, p",
        "executor has Executor",
        "objects has lock",
        "early ['Process', 'Queue', 'p']",
        "executor ['Executor']",
        "objects ['lock']",
        "{}",
    ]


def test_a_module_of_two_names_is_told_once():
    assert outcome("""
        from multiprocessing import Queue
        import sys, warnings
        import forkful
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forkful.install()
        assert sys.modules["__mp_main__"] is sys.modules["__main__"]
        print(str(caught[0].message).count("Queue"), forkful.status()["bound_before"])
    """) == ["1 {'__main__': ['Queue']}"]


def test_nothing_is_told_where_nobody_holds_a_name():
    assert outcome("""
        import multiprocessing.pool, concurrent.futures.process
        del multiprocessing, concurrent
        import forkful
        forkful.install()
        import multiprocessing, concurrent.futures
        print(multiprocessing.pool.__name__, concurrent.futures.process.__name__)
    """) == ["forkful.pool forkful.futures"]


def test_a_replaced_method_of_the_standard_process_is_told():
    assert outcome("""
        import multiprocessing.process as process, warnings
        def bootstrap(self): pass
        bootstrap.__module__ = "coverage.multiproc"
        process.BaseProcess._bootstrap = bootstrap
        import forkful
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forkful.install()
        print("coverage.multiproc has replaced BaseProcess._bootstrap" in str(caught[0].message))
    """) == ["True"]


def test_hooks_of_others_go_on():
    assert outcome("""
        from multiprocessing.util import register_after_fork
        from multiprocessing.reduction import ForkingPickler
        import multiprocessing, warnings
        class Thing: pass
        def rebuild(): return "rebuilt"
        def reduce_thing(thing): return rebuild, ()
        thing, other = Thing(), Thing()
        for number, each in enumerate((thing, other)):
            register_after_fork(each, lambda each, number=number: print("after", number))
        ForkingPickler.register(Thing, reduce_thing)
        multiprocessing.set_start_method("fork")
        import forkful
        with warnings.catch_warnings(action="ignore"):
            forkful.install()
        import multiprocessing
        print(multiprocessing.get_start_method(allow_none=True), flush=True)
        child = multiprocessing.Process(target=print, args=("in the child",))
        child.start()
        child.join()
        queue = multiprocessing.Queue()
        queue.put(thing)
        print(queue.get())
        print(multiprocessing.reduction.ForkingPickler is ForkingPickler)
    """) == ["fork", "after 0", "after 1", "in the child", "rebuilt", "False"]


def test_what_the_executor_of_concurrent_futures_is_follows():
    assert outcome("""
        import concurrent.futures, concurrent.futures.process, forkful
        forkful.install()
        print(concurrent.futures.process.__name__)
        print(concurrent.futures.ProcessPoolExecutor.__module__.partition(".")[0])
        forkful.uninstall()
        print(concurrent.futures.process.__name__)
        print(concurrent.futures.ProcessPoolExecutor.__module__)
    """) == [
        "forkful.futures",
        "forkful",
        "concurrent.futures.process",
        "concurrent.futures.process",
    ]


def test_install_loads_nothing_heavy():
    assert outcome("""
        import sys
        import forkful
        before = set(sys.modules)
        forkful.install()
        import concurrent.futures
        print(sorted(n for n in set(sys.modules) - before if n.startswith("forkful")))
        print("concurrent.futures.process" in sys.modules, "forkful.futures" in sys.modules)
    """) == [
        "['forkful._modules', 'forkful._run', 'forkful._run.apart', 'forkful._run.install']",
        "False False",
    ]


def test_another_name_that_begins_alike_is_not_ours(tmp_path):
    (tmp_path / "multiprocessing_logging.py").write_text("name = __name__\n")
    assert outcome(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import forkful
        forkful.install()
        import multiprocessing_logging
        print(multiprocessing_logging.name, multiprocessing_logging.__file__ is not None)
    """,
        str(tmp_path),
    ) == ["multiprocessing_logging True"]


def test_an_extension_of_ipython_installs():
    assert outcome("""
        import forkful
        forkful.load_ipython_extension(None)
        import multiprocessing
        print(multiprocessing.__name__)
        forkful.unload_ipython_extension(None)
        import multiprocessing
        print(multiprocessing.__name__)
    """) == ["forkful", "multiprocessing"]


A_TEST = """
import concurrent.futures
import multiprocessing
from multiprocessing import Pool

def square(number):
    return number * number

def test_whose_it_is():
    assert multiprocessing.__name__ == "forkful"
    assert concurrent.futures.ProcessPoolExecutor.__module__.startswith("forkful")
    with Pool(2) as pool:
        assert pool.map(square, [1, 2, 3]) == [1, 4, 9]
"""


@pytest.mark.parametrize("more", [[], ["-W", "error"]])
def test_pytest_takes_forkful_as_a_plugin(tmp_path, more):
    (tmp_path / "conftest.py").write_text(
        "import multiprocessing\nassert multiprocessing.__name__ == 'forkful'\n"
    )
    (tmp_path / "test_it.py").write_text(A_TEST)
    command = [sys.executable, "-m", "pytest", "-p", "forkful", *more, "test_it.py"]
    done = run(command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"multiprocessing: forkful {forkful.__version__}" in done.stdout
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout


def test_what_was_bound_before_starts_processes_and_pools_of_its_own():
    # It imports its own modules in its functions, some of them for the first time after install().
    assert outcome(
        """
        import multiprocessing, multiprocessing.synchronize, sys, warnings
        from multiprocessing import Pool, Process
        import forkful

        def work(queue, lock):
            with lock:
                queue.put(5)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            forkful.install()
        context = multiprocessing.get_context("fork")
        print(multiprocessing is forkful, type(context.Lock()).__module__)
        queue = context.SimpleQueue()
        child = context.Process(target=work, args=(queue, context.Lock()))
        child.start()
        print(queue.get())
        child.join()
        print(child.exitcode)
        with context.Pool(1) as pool:
            print(pool.map(abs, [-1]))
        import multiprocessing as ours
        with ours.Pool(1) as pool:
            print(ours is forkful, pool.map(abs, [-2]))
        forkful.uninstall()
        import multiprocessing as again
        print(again is multiprocessing, type(again.Lock()).__module__)
        with again.get_context("fork").Pool(1) as pool:
            print(pool.map(abs, [-3]))
        print(*[name for name in sys.modules if name.startswith("_standard")])
        """
    ) == [
        "False _standard_multiprocessing.synchronize",
        "5",
        "0",
        "[1]",
        "True [2]",
        "True multiprocessing.synchronize",
        "[3]",
        "",
    ]


def test_a_pool_takes_a_context_of_the_standard_package_for_ours():
    assert outcome(
        """
        import multiprocessing
        import forkful.pool
        with forkful.pool.Pool(1, context=multiprocessing.get_context("fork")) as pool:
            print(pool._ctx.get_start_method(), pool.map(abs, [-1]))
        """
    ) == ["fork [1]"]


def test_a_module_may_call_install_while_it_is_imported_in_place_of_the_standard_one(tmp_path):
    (tmp_path / "multiprocessing.py").write_text("import forkful\nforkful.install()\n")
    assert outcome(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import multiprocessing
        import multiprocessing.pool
        print(multiprocessing.__name__, multiprocessing.pool.__name__)
        """,
        str(tmp_path),
    ) == ["forkful forkful.pool"]
