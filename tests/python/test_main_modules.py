"""What children have of the main module, however the program was started."""

from __future__ import annotations

import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from helpers import run

METHODS = ["spawn", "forkserver"]

PROGRAM = """
    import sys
    import {package} as multiprocessing

    state = []

    class Shape:
        def __init__(self, sides):
            self.sides = sides

    def count(shape):
        global state
        state = [shape.sides]
        return shape.sides, sys.modules["__main__"].state, __name__

    def main(method):
        context = multiprocessing.get_context(method)
        with context.Pool(1) as pool:
            print(*pool.apply(count, (Shape(4),)))

    if __name__ == "__main__":
        main(sys.argv[-1])
    """


def program(package="forkful"):
    return textwrap.dedent(PROGRAM.format(package=package))


def outcome(command, **options):
    done = run(command, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.mark.parametrize("name", ["program.py", "no_suffix"])
def test_a_script_is_run_once_more(name, method, tmp_path):
    (tmp_path / name).write_text(program())
    assert outcome([sys.executable, name, method], cwd=tmp_path) == ["4 [4] __mp_main__"]


def test_a_compiled_script_is_run_once_more(method, tmp_path):
    import py_compile

    (tmp_path / "program.py").write_text(program())
    py_compile.compile(str(tmp_path / "program.py"), str(tmp_path / "other.pyc"))
    (tmp_path / "program.py").unlink()
    command = [sys.executable, str(tmp_path / "other.pyc"), method]
    assert outcome(command) == ["4 [4] __mp_main__"]


def test_a_module_is_run_once_more(method, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("")
    (tmp_path / "package/sibling.py").write_text("value = 1")
    source = "from .sibling import value\n" + program()
    (tmp_path / "package/module.py").write_text(source)
    command = [sys.executable, "-m", "package.module", method]
    assert outcome(command, cwd=tmp_path) == ["4 [4] __mp_main__"]


def test_the_main_module_of_a_package_travels_by_value(method, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("")
    (tmp_path / "package/__main__.py").write_text("print('main', flush=True)\n" + small())
    command = [sys.executable, "-m", "package", method]
    assert outcome(command, cwd=tmp_path) == ["main", "4 True", "0"]


def test_the_main_module_of_an_archive_travels_by_value(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as archive:
        archive.writestr("__main__.py", small())
    command = [sys.executable, str(tmp_path / "program.zip"), method]
    assert outcome(command) == ["4 True", "0"]


def small(package="forkful"):
    return textwrap.dedent(f"""
        import sys
        import {package} as multiprocessing

        class Shape:
            def __init__(self, sides):
                self.sides = sides

        def tell(queue, shape):
            queue.put(shape.sides)
            queue.put(Shape(shape.sides + 1))

        context = multiprocessing.get_context(sys.argv[-1])
        queue = context.Queue()
        child = context.Process(target=tell, args=(queue, Shape(4)))
        child.start()
        print(queue.get(timeout=30), type(queue.get(timeout=30)) is Shape)
        child.join()
        print(child.exitcode)
    """)


def test_what_is_given_on_the_command_line_travels_by_value(method):
    assert outcome([sys.executable, "-c", small(), method]) == ["4 True", "0"]


def test_what_comes_by_the_standard_input_travels_by_value(method):
    assert outcome([sys.executable, "-", method], input=small()) == ["4 True", "0"]


@pytest.mark.parametrize("how", ["script", "-c", "-m", "-"])
def test_under_forkful_run_it_is_the_same(how, method, tmp_path):
    (tmp_path / "program.py").write_text(program("multiprocessing"))
    command = [sys.executable, "-m", "forkful", "run"]
    options = {"cwd": tmp_path}
    if how == "script":
        lines = outcome([*command, "program.py", method], **options)
    elif how == "-m":
        lines = outcome([*command, "-m", "program", method], **options)
    elif how == "-c":
        lines = outcome([*command, "-c", small("multiprocessing"), method], **options)
    else:
        lines = outcome([*command, "-", method], input=small("multiprocessing"), **options)
    assert lines == (["4 True", "0"] if how in ("-c", "-") else ["4 [4] __mp_main__"])


def test_lambdas_are_mapped_under_every_method(tmp_path):
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
        import sys, forkful
        if __name__ == "__main__":
            for method in forkful.get_all_start_methods():
                with forkful.get_context(method).Pool(1) as pool:
                    offset = 1
                    print(pool.map(lambda number: number + offset, range(3)), end=" ")
                    offset = 2
                    print(pool.apply(lambda number: number + offset, (1,)))
        """)
    )
    assert outcome([sys.executable, str(tmp_path / "program.py")]) == ["[1, 2, 3] 3"] * 3


def test_tuples_and_sets_of_such_objects_are_sent(method):
    code = textwrap.dedent("""
        import sys, forkful

        class Shape:
            def __init__(self, sides):
                self.sides = sides

        def look(shapes):
            return {type(shape).__name__ for shape in shapes}, shapes

        with forkful.get_context(sys.argv[-1]).Pool(1) as pool:
            shapes = (Shape(1), Shape(2))
            names, back = pool.apply(look, (shapes,))
            print(names, [type(shape) is Shape for shape in back])
            print(pool.map(sum, [(1, 2), (3, 4)]))
    """)
    assert outcome([sys.executable, "-c", code, method]) == ["{'Shape'} [True, True]", "[3, 7]"]


def test_a_module_that_is_no_main_module_is_not_sent(tmp_path):
    code = textwrap.dedent("""
        import sys, forkful
        context = forkful.get_context("spawn")
        child = context.Process(target=print, args=("hello",))
        child.start()
        child.join()
        print("cloudpickle" in sys.modules)
    """)
    assert outcome([sys.executable, "-c", code]) == ["hello", "False"]


# --- without a guard ---

NO_GUARD = """
    import sys, forkful
    from forkful.futures import ProcessPoolExecutor

    def work(number):
        return number

    context = forkful.get_context(sys.argv[1])
    """


def run_unguarded(folder: Path, method: str, code: str):
    path = folder / "program.py"
    path.write_text(textwrap.dedent(NO_GUARD) + textwrap.dedent(code))
    return run([sys.executable, str(path), method])


def told_by_a_process_without_a_guard(folder: Path, method: str, code: str) -> str:
    """What such a program has on stderr, with the remedy, whatever else it says."""
    done = run_unguarded(
        folder,
        method,
        f"""
        {code}
        child.start()
        child.join()
        print(child.exitcode)
        """,
    )
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr.count("RuntimeError: ") == 1
    assert "Remedy: a child runs the main module once more" in done.stderr
    return done.stderr


def test_a_process_without_a_guard_says_what_to_write(method, tmp_path):
    told = told_by_a_process_without_a_guard(
        tmp_path, method, "child = context.Process(target=work, args=(1,))"
    )
    assert "An attempt has been made to start a new process before" in told


@pytest.mark.parametrize("given", ["", ", force=True"])
def test_a_start_method_that_is_set_without_a_guard_says_what_to_write(given, method, tmp_path):
    code = f"forkful.set_start_method(sys.argv[1]{given}); "
    code += "child = forkful.Process(target=work, args=(1,))"
    told = told_by_a_process_without_a_guard(tmp_path, method, code)
    assert "force=True to" not in told


def test_a_pool_without_a_guard_fails(method, tmp_path):
    done = run_unguarded(
        tmp_path,
        method,
        """
        pool = context.Pool(2)
        print(pool.map(work, range(10)))
        """,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "BrokenProcessPool: 5 workers died at their start" in done.stderr
    assert "under `if __name__ == '__main__':`" in done.stderr
    assert done.stderr.count("Remedy:") <= 7


def test_an_executor_without_a_guard_fails(method, tmp_path):
    done = run_unguarded(
        tmp_path,
        method,
        """
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            print(list(executor.map(work, range(10))))
        """,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "BrokenProcessPool" in done.stderr
    assert done.stderr.count("Remedy:") <= 3


BACK = """
    import {package} as multiprocessing
    from {futures} import ProcessPoolExecutor

    class Shape:
        pass

    def put(queue):
        queue.put(Shape())

    def send(connection):
        connection.send(put)

    def store(shared):
        shared["shape"] = Shape()

    def main(context):
        with context.Pool(1) as pool:
            print(type(pool.apply(Shape)) is Shape)
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            print(type(executor.submit(Shape).result()) is Shape)
        queue = context.Queue()
        here, there = context.Pipe()
        with context.Manager() as manager:
            shared = manager.dict()
            for target, argument in (put, queue), (send, there), (store, shared):
                child = context.Process(target=target, args=(argument,))
                child.start()
                child.join()
            print(type(queue.get()) is Shape, here.recv() is put, type(shared["shape"]) is Shape)

    if __name__ == "__main__":
        import sys

        main(multiprocessing.get_context(sys.argv[-1]))
    """
STARTS = {
    "script": ["program.py"],
    "module": ["-m", "program"],
    "run": ["-m", "forkful", "run", "program.py"],
    "run module": ["-m", "forkful", "run", "-m", "program"],
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("way", ["fork", *METHODS])
def test_children_send_back_what_is_of_the_main_modules_classes(start, way, tmp_path):
    standard = "run" in start
    text = BACK.format(
        package="multiprocessing" if standard else "forkful",
        futures="concurrent.futures" if standard else "forkful",
    )
    (tmp_path / "program.py").write_text(textwrap.dedent(text))
    told = outcome([sys.executable, *STARTS[start], way], cwd=tmp_path)
    assert " ".join(told).split() == ["True"] * 5


POOL_WITHOUT_GUARD = """
import forkful
forkful.set_start_method({method!r}, force=True)
with forkful.{made} as pool:
    print(list(pool.map(abs, [1, 2])))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("made", ["Pool(3)", "ProcessPoolExecutor(3)"])
def test_workers_of_a_main_module_without_a_guard_say_so_once(tmp_path, method, made):
    script = tmp_path / "program.py"
    script.write_text(POOL_WITHOUT_GUARD.format(method=method, made=made))
    done = run([sys.executable, str(script)])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("bootstrapping phase") == 1
    assert done.stderr.count("forkful.BrokenProcessPool: ") == 1
