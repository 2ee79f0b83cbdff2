"""install(), uninstall() and status(): whose the standard names are."""

from __future__ import annotations

import forkful
import pytest
from helpers import run_python


def outcome(code):
    done = run_python(code)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_installed_names_are_the_very_modules_of_forkful():
    assert outcome("""
        import forkful
        forkful.install()
        forkful.install()
        import multiprocessing, multiprocessing.pool, multiprocessing.queues as queues, sys
        from multiprocessing import context, process, reduction
        import forkful.pool
        print(multiprocessing is forkful, multiprocessing.pool is forkful.pool)
        print(queues.__name__, context.__name__, process.__name__, reduction.__name__)
        print(sys.modules["multiprocessing.pool"].__name__)
        import concurrent.futures, concurrent.futures.process
        print(concurrent.futures.ProcessPoolExecutor is forkful.ProcessPoolExecutor)
        print(concurrent.futures.process.__name__)
    """) == [
        "True True",
        "forkful.queues forkful.context forkful.process forkful.reduction",
        "forkful.pool",
        "True",
        "forkful.futures",
    ]


def test_uninstall_gives_the_standard_names_back():
    assert outcome("""
        import forkful, warnings
        import multiprocessing, concurrent.futures
        standard, executor = multiprocessing, concurrent.futures.ProcessPoolExecutor
        with warnings.catch_warnings(action="ignore"):
            forkful.install()
        import multiprocessing
        print(multiprocessing is forkful, concurrent.futures.ProcessPoolExecutor is not executor)
        forkful.uninstall()
        forkful.uninstall()
        import multiprocessing, multiprocessing.pool
        print(multiprocessing is standard, concurrent.futures.ProcessPoolExecutor is executor)
        print(multiprocessing.pool.__name__)
        with warnings.catch_warnings(action="ignore"):
            forkful.install()
        import multiprocessing
        print(multiprocessing is forkful)
    """) == ["True True", "True True", "multiprocessing.pool", "True"]


def test_uninstall_works_where_nothing_was_imported_before():
    assert outcome("""
        import forkful
        forkful.install()
        import multiprocessing.pool
        forkful.uninstall()
        import multiprocessing.pool
        from concurrent.futures import ProcessPoolExecutor
        print(multiprocessing.__name__, multiprocessing.pool.__name__)
        print(ProcessPoolExecutor.__module__)
    """) == ["multiprocessing multiprocessing.pool", "concurrent.futures.process"]


def test_status_tells():
    assert outcome("""
        import forkful
        print(forkful.status())
        forkful.install()
        print(forkful.status()["installed"], forkful.status()["multiprocessing"])
        import multiprocessing
        print(forkful.status()["multiprocessing"], forkful.status()["file"] == forkful.__file__)
        forkful.uninstall()
        import multiprocessing
        print(forkful.status()["installed"], forkful.status()["multiprocessing"])
    """) == [
        "{'installed': False, 'multiprocessing': None, 'file': None, 'bound_before': {}}",
        "True None",
        "forkful True",
        "False multiprocessing",
    ]


def test_a_module_that_forkful_lacks_is_named():
    assert outcome(
        """
        import forkful
        forkful.install()
        try:
            import multiprocessing.no_such_thing
        except ModuleNotFoundError as error:
            print(error.name, "forkful" in str(error))
        import multiprocessing_logging_is_another_name_if_found
    """.replace("import multiprocessing_logging_is_another_name_if_found", "import forkful")
    ) == ["multiprocessing.no_such_thing True"]


def test_modules_of_ours_alone_are_not_the_standard_ones():
    assert outcome("""
        import forkful._modules, importlib, pkgutil
        forkful.install()
        found = []
        for module in pkgutil.iter_modules(forkful.__path__):
            if module.name == "__main__": continue
            try: importlib.import_module("multiprocessing." + module.name)
            except ModuleNotFoundError: pass
            else: found.append(module.name)
        forkful.uninstall()
        import multiprocessing
        standard = {module.name for module in pkgutil.iter_modules(multiprocessing.__path__)}
        from forkful._modules import MIRRORED
        print({name for name in MIRRORED if "." not in name} ^ set(found), set(found) - standard)
    """) == ["set() set()"]


def test_what_forkful_lacks_may_have_been_imported_before():
    assert outcome("""
        import multiprocessing.resource_tracker, multiprocessing.pool
        del multiprocessing
        import forkful._modules
        forkful._modules.MIRRORED -= {"resource_tracker"}  # as if it were not there
        forkful.install()
        import multiprocessing.pool
        print(multiprocessing.pool.__name__)
        try: import multiprocessing.resource_tracker
        except ModuleNotFoundError: print("not there")
        forkful.uninstall()
        import multiprocessing.resource_tracker
        print(multiprocessing.resource_tracker.__name__)
    """) == ["forkful.pool", "not there", "multiprocessing.resource_tracker"]


def test_children_see_what_their_parent_sees():
    assert outcome("""
        import forkful
        forkful.install()
        def look():
            import multiprocessing, multiprocessing.pool
            print(multiprocessing is forkful, multiprocessing.pool.__name__, flush=True)
            inner = multiprocessing.Process(target=print, args=(multiprocessing.__name__,))
            inner.start()
            inner.join()
        import multiprocessing
        child = multiprocessing.Process(target=look)
        child.start()
        child.join()
    """) == ["True forkful.pool", "forkful"]


def test_importing_forkful_imports_little():
    assert outcome("""
        import sys
        import forkful
        heavy = {"numpy", "cloudpickle", "asyncio", "ctypes", "argparse", "forkful.sharedctypes"}
        print(sorted(heavy & set(sys.modules)))
    """) == ["[]"]


def test_every_public_name_is_there():
    for name in forkful.__all__:
        assert getattr(forkful, name) is not None
    namespace: dict[str, object] = {}
    exec("from forkful import *", namespace)
    assert set(forkful.__all__) <= set(namespace)


def test_a_pool_imports_neither_logging_nor_the_standard_executors():
    assert outcome("""
        import sys
        before = set(sys.modules)
        import forkful
        with forkful.Pool(1) as pool:
            assert pool.apply_async(abs, (-1,), callback=id).get() == 1
            try:
                pool.apply(__import__("os")._exit, (1,))
            except forkful.WorkerDied as error:
                print(error.exitcode)
        forkful.Queue().put(1)
        forkful.install()
        print([name for name in ("logging", "concurrent.futures") if name in sys.modules])
    """) == ["1", "[]"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_death_is_a_broken_executor_to_whoever_knows_these(when):
    imports = ["import forkful", "from concurrent.futures import BrokenExecutor"]
    first, second = imports if when == "after" else imports[::-1]
    assert outcome(f"""
        {first}
        {second}
        import os
        with forkful.Pool(1) as pool:
            try:
                pool.apply(os._exit, (1,))
            except BrokenExecutor as error:
                print(type(error) is forkful.WorkerDied, isinstance(error, RuntimeError))
    """) == ["True True"]


@pytest.mark.parametrize("when", ["before", "after", "in the middle"])
def test_a_worker_death_is_a_standard_broken_pool_to_whoever_knows_that(when):
    """The program imports the standard module: before forkful, after it, or between deaths."""
    imports = {
        "before": ("import concurrent.futures.process", "import forkful"),
        "after": ("import forkful", "import concurrent.futures.process"),
        "in the middle": ("import forkful", "die(forkful.WorkerDied)"),
    }
    assert outcome(f"""
        import os
        def die(*caught):
            with forkful.Pool(1) as pool, forkful.ProcessPoolExecutor(1) as executor:
                calls = pool.apply_async(os._exit, (1,)).get, executor.submit(os._exit, 1).result
                for call in calls:
                    try:
                        call()
                    except caught as error:
                        found.append(type(error).__name__)
        found = []
        {chr(10).join(imports[when][:1])}
        {imports[when][1]}
        from concurrent.futures.process import BrokenProcessPool
        del found[:]
        die(BrokenProcessPool)
        class Own(forkful.BrokenProcessPool, BrokenProcessPool): pass
        print(*found, issubclass(Own, RuntimeError), forkful.WorkerDied("x", 1, 2, 3).item)
    """) == ["WorkerDied WorkerDied True 3"]


def test_standing_in_a_broken_pool_is_the_only_one_there_is():
    assert outcome("""
        import forkful; forkful.install()
        from concurrent.futures.process import BrokenProcessPool
        error = forkful.BrokenProcessPool("x")
        print(type(error) is BrokenProcessPool, type(error).__bases__[0].__name__)
    """) == ["True BrokenExecutor"]


def test_every_exception_is_in_the_package():
    from forkful import _errors as errors

    assert set(errors.__all__) <= set(forkful.__all__) <= set(dir(forkful))
    assert all(getattr(errors, name) is getattr(forkful, name) for name in errors.__all__)
