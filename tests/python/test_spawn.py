"""Start method spawn: what a child is, what it is handed, and what its start leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import forkful
import pytest
from forkful import popen_spawn_posix, spawn, util
from helpers import (
    ask,
    await_condition,
    children_of,
    eventually,
    open_descriptors,
    run,
    run_python,
    runs,
)

SPAWN = forkful.get_context("spawn")


def tell_modules(queue):
    queue.put(sorted(sys.modules))


def tell_flags(queue):
    queue.put(tuple(sys.flags))


def tell_size(queue, data):
    queue.put(len(data))


def tell_descriptors(queue):
    queue.put(open_descriptors())


def tell_parent(queue):
    parent = forkful.parent_process()
    queue.put((parent.pid, parent.name, parent.is_alive(), parent.sentinel >= 0))


def start_grandchild(queue):
    forkful.Process(target=await_parent, args=(queue,)).start()
    signal.pause()


def await_parent(queue):
    queue.put((os.getpid(), os.getppid()))
    forkful.parent_process().join(20)
    queue.put(forkful.parent_process().is_alive())


def hold(lock, begun):
    with lock:
        begun.set()
        signal.pause()


def answer(queue, what):
    queue.put(what)


def write_program(folder: Path, text: str, name: str = "program.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def run_program(folder: Path, text: str, *options: str, **settings):
    path = write_program(folder, text)
    return run([sys.executable, *options, str(path)], **settings)


# --- what a child is ---


def test_a_child_has_nothing_of_the_standard_package():
    told = set(ask(SPAWN, tell_modules))
    assert "forkful.spawn" in told
    assert not {name for name in told if name.split(".")[0] in ("multiprocessing", "concurrent")}
    assert not told & {"_multiprocessing", "_posixshmem"}


ALLOWED = {
    "__future__", "_collections", "_compat_pickle", "_functools", "_operator", "_pickle", "_sre",
    "_weakref", "atexit", "collections", "copyreg", "functools", "itertools", "keyword",
    "operator", "reprlib", "select", "types", "_random", "_posixsubprocess", "fcntl",
}  # fmt: skip


def test_a_child_imports_little(tmp_path):
    done = run_program(
        tmp_path,
        """
        import sys
        def look():
            print(*sys.modules)
        if __name__ == "__main__":
            import forkful
            child = forkful.get_context("spawn").Process(target=look)
            child.start()
            child.join()
        """,
    )
    assert done.returncode == 0, done.stderr
    # The finder of an editable installation imports some more.
    finder = "importlib.machinery, importlib.util, " if len(forkful.__path__) > 1 else ""
    bare = run([sys.executable, "-c", f"import {finder}sys; print(*sys.modules)"])
    new = set(done.stdout.split()) - set(bare.stdout.split())
    assert {name for name in new if not name.startswith("forkful")} <= ALLOWED | {"__mp_main__"}
    assert {name for name in new if name.startswith("forkful")} <= {
        "forkful", "forkful._child", "forkful._child.ending", "forkful._child.kept",
        "forkful._child.letter", "forkful._child.main_file", "forkful._child.standard",
        "forkful._child.starting",
        "forkful._core", "forkful._errors", "forkful._factories", "forkful._finalize",
        "forkful._fork", "forkful._handlers", "forkful._log", "forkful.context",
        "forkful.popen_fork",
        "forkful.process", "forkful.reduction", "forkful.spawn",
    }  # fmt: skip


def test_workers_import_little_too(tmp_path):
    done = run_program(
        tmp_path,
        """
        import sys
        def look(_):
            return [name for name in WANTED if name in sys.modules]
        WANTED = ["traceback", "re", "logging", "threading", "pickle", "forkful.pool"]
        if __name__ == "__main__":
            import forkful
            context = forkful.get_context("spawn")
            with context.Pool(1) as pool:
                print(pool.apply(look, (1,)))
            from forkful.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1, mp_context=context) as executor:
                print(executor.submit(look, 1).result())
        """,
    )
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr


@pytest.mark.parametrize(
    "options", [["-E"], ["-I"], ["-O"], ["-E", "-S", "-O"], ["-I", "-S"], ["-P"], ["-X", "dev"]]
)
def test_a_child_and_its_child_have_the_options_of_the_interpreter(options, tmp_path):
    folders = [
        str(Path(path).parent) for path in (forkful.context.__file__, forkful._core.__file__)
    ]
    done = run_program(
        tmp_path,
        f"""
        import sys
        def tell(generation):
            import forkful
            print(tuple(sys.flags), flush=True)
            if generation == 1:
                child = forkful.Process(target=tell, args=(2,))
                child.start()
                child.join()
        if __name__ == "__main__":
            import types
            for folder in {[*forkful.__path__]!r}:
                sys.path.append(folder + "/..")
            package = types.ModuleType("forkful")
            package.__path__ = {[*forkful.__path__]!r}
            sys.path_importer_cache.clear()
            sys.path.extend({folders!r})
            import _frozen_importlib, _frozen_importlib_external
            spec = _frozen_importlib_external.PathFinder.find_spec(
                "forkful", [{str(Path(forkful.context.__file__).parent.parent)!r}])
            spec.submodule_search_locations[:] = {[*forkful.__path__]!r}
            _frozen_importlib._load(spec)
            import forkful
            print(tuple(sys.flags), flush=True)
            forkful.set_start_method("spawn")
            child = forkful.Process(target=tell, args=(1,))
            child.start()
            child.join()
        """,
        *options,
    )
    told = done.stdout.splitlines()
    assert (len(told), len(set(told))) == (3, 1), done.stderr


def test_the_parent_is_known():
    assert ask(SPAWN, tell_parent) == (os.getpid(), forkful.current_process().name, True, True)


def test_a_grandchild_notices_the_end_of_its_parent():
    queue = SPAWN.Queue()
    child = SPAWN.Process(target=start_grandchild, args=(queue,))
    child.start()
    _, parent = queue.get(timeout=30)
    assert parent == child.pid
    child.terminate()
    child.join()
    assert queue.get(timeout=30) is False


def test_a_child_has_those_descriptors_alone_that_it_was_handed():
    file = os.open(os.devnull, os.O_RDONLY)
    high = os.dup2(file, 200, inheritable=True)
    try:
        first = ask(SPAWN, tell_descriptors)
        assert high not in first
        assert len(ask(SPAWN, tell_descriptors)) == len(first)
    finally:
        os.close(file)
        os.close(high)


def test_a_large_argument_arrives():
    assert ask(SPAWN, tell_size, bytes(64 << 20)) == 64 << 20


# --- a start that fails, and what starts leave ---


class Refuses:
    def __reduce__(self):
        raise RuntimeError("no")


@pytest.mark.usefixtures("no_descriptor_stays_behind")
def test_a_start_that_fails_leaves_nothing():
    lock = SPAWN.Lock()
    members = forkful._core.heap_use()["members"]
    before = children_of(os.getpid())
    for argument in (Refuses(), threading.Lock()):
        child = SPAWN.Process(target=print, args=(lock, argument))
        with pytest.raises((RuntimeError, TypeError)):
            child.start()
        assert not child.is_alive()
        assert forkful.context.get_spawning_popen() is None
    interpreter = spawn.get_executable()
    try:
        spawn.set_executable("/nowhere/python")
        with pytest.raises(FileNotFoundError, match="/nowhere/python"):
            SPAWN.Process(target=print).start()
    finally:
        spawn.set_executable(interpreter)
    assert children_of(os.getpid()).keys() == before.keys()
    assert forkful._core.heap_use()["members"] == members
    assert forkful.active_children() == []


@pytest.mark.usefixtures("no_descriptor_stays_behind")
def test_a_process_whose_start_was_left_can_be_started_again(monkeypatch):
    real = util.spawnv_passfds

    def interrupt(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    queue = SPAWN.Queue()
    child = SPAWN.Process(target=answer, args=(queue, 5))
    before = children_of(os.getpid())
    with monkeypatch.context() as patch:
        patch.setattr(util, "spawnv_passfds", interrupt)
        with pytest.raises(KeyboardInterrupt):
            child.start()
    assert children_of(os.getpid()).keys() == before.keys()
    child.start()
    assert queue.get(timeout=30) == 5
    child.join()
    child.close()


def test_threads_start_children_at_once():
    def start(number):
        queue = SPAWN.Queue()
        child = SPAWN.Process(target=answer, args=(queue, number))
        child.start()
        told.append(queue.get(timeout=30) == number)
        child.join()

    told: list[bool] = []
    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True] * 6


def test_a_lock_that_a_killed_child_holds_is_reported():
    lock, begun = SPAWN.Lock(), SPAWN.Event()
    child = SPAWN.Process(target=hold, args=(lock, begun))
    child.start()
    assert begun.wait(30)
    child.kill()
    child.join()
    with pytest.raises(forkful.LockOwnerDied):
        lock.acquire()


def test_a_child_whose_main_module_does_not_end_goes_with_its_parent(tmp_path):
    path = write_program(
        tmp_path,
        """
        import os, signal, sys
        if __name__ != "__main__":
            with open(sys.argv[1] + ".part", "w") as file:
                file.write(str(os.getpid()))
            os.rename(sys.argv[1] + ".part", sys.argv[1])
            signal.pause()
        import forkful
        child = forkful.get_context("spawn").Process(target=print, daemon=True)
        child.start()
        signal.pause()
        """,
    )
    said = tmp_path / "pid"
    with subprocess.Popen([sys.executable, str(path), str(said)]) as program:
        await_condition(said.exists)
        program.kill()
        pid = int(said.read_text())
        assert eventually(lambda: not runs(pid))


# --- the command ---


@pytest.mark.parametrize("kind", [os.fsencode, str, Path])
def test_the_interpreter_can_be_set(kind):
    interpreter = spawn.get_executable()
    try:
        forkful.set_executable(kind(os.fsdecode(interpreter)))
        assert spawn.get_executable() == interpreter
        assert ask(SPAWN, tell_size, b"abc") == 3
        forkful.set_executable(None)
        with pytest.raises(ValueError, match="set_executable"):
            SPAWN.Process(target=print).start()
    finally:
        spawn.set_executable(interpreter)


def test_another_version_of_python_says_so(tmp_path):
    code = spawn.get_command_line(pipe_handle=0)[-2]
    assert isinstance(code, str)
    minor = sys.version_info.minor
    done = run([sys.executable, "-c", code.replace(f"(3, {minor})", f"(3, {minor + 1})")])
    assert (done.returncode, done.stdout) == (1, "")
    assert f"its interpreter is Python 3.{minor}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_frozen_program_is_its_own_child(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert spawn.get_command_line(tracker_fd=None, pipe_handle=5) == [
        sys.executable,
        "--multiprocessing-fork",
        "tracker_fd=None",
        "pipe_handle=5",
    ]
    assert spawn.command_that_runs("from {}.forkserver import main; main()")[-2:] == [
        "-c",
        "from forkful.forkserver import main; main()",
    ]
    called = []
    monkeypatch.setattr(spawn, "spawn_main", lambda **numbers: called.append(numbers))
    monkeypatch.setattr(
        sys, "argv", ["program", "--multiprocessing-fork", "tracker_fd=None", "a=5"]
    )
    with pytest.raises(SystemExit):
        forkful.freeze_support()
    assert called == [{"tracker_fd": None, "a": 5}]


def noting(seen, name, real):
    def call(*args, **kwargs):
        seen.append(name)
        return real(*args, **kwargs)

    return call


def test_what_programs_replace_is_called(monkeypatch):
    seen = []
    for module, name in (
        (spawn, "get_command_line"),
        (spawn, "get_preparation_data"),
        (util, "spawnv_passfds"),
    ):
        monkeypatch.setattr(module, name, noting(seen, name, vars(module)[name]))

    class Popen(popen_spawn_posix.Popen):
        def _launch(self, process_obj):
            seen.append("_launch")
            super()._launch(process_obj)

    monkeypatch.setattr(popen_spawn_posix, "Popen", Popen)
    assert ask(SPAWN, tell_size, b"") == 0
    assert seen == ["_launch", "get_preparation_data", "get_command_line", "spawnv_passfds"]


def test_a_child_is_handed_descriptors():
    reader, writer = os.pipe()
    child = SPAWN.Process(target=write_to, args=(Handed(writer),))
    child.start()
    os.close(writer)
    assert os.read(reader, 10) == b"hello"
    child.join()
    os.close(reader)


class Handed:
    def __init__(self, fd):
        self.fd = fd

    def __reduce__(self):
        popen = forkful.context.get_spawning_popen()
        return rebuild, (popen.DupFd(popen.duplicate_for_child(self.fd)),)


def rebuild(handed):
    return Handed(handed.detach())


def write_to(handed):
    assert not os.get_inheritable(handed.fd)
    os.write(handed.fd, b"hello")


# --- the logger ---


def test_the_logger_of_a_child_is_as_its_parents(tmp_path):
    done = run_program(
        tmp_path,
        """
        import forkful
        if __name__ == "__main__":
            forkful.log_to_stderr("INFO")
            child = forkful.get_context("spawn").Process(target=int, name="there")
            child.start()
            child.join()
        """,
    )
    assert "[INFO/there] child process calling self.run()" in done.stderr
    assert "[INFO/there] process exiting with exitcode 0" in done.stderr


def test_streams_are_flushed_and_exit_functions_run(tmp_path):
    done = run_program(
        tmp_path,
        """
        import atexit, sys, threading
        def work():
            atexit.register(print, "exit function")
            threading.Timer(0.1, print, ("thread",)).start()
            sys.stdout.write("written\\n")
        if __name__ == "__main__":
            import forkful
            child = forkful.get_context("spawn").Process(target=work)
            child.start()
            child.join()
            print(child.exitcode)
        """,
    )
    assert done.stdout.splitlines() == ["written", "thread", "exit function", "0"]


def test_a_socket_is_handed_to_a_child_that_has_no_main_module():
    done = run_python("""
        import forkful, socket
        def greet(end):
            with end:
                end.send(b"hello")
        ours, other = socket.socketpair()
        child = forkful.get_context("spawn").Process(target=greet, args=(other,))
        child.start()
        child.join()
        other.close()
        with ours:
            print(child.exitcode, ours.recv(9))
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 b'hello'\n", "")
