"""Start method forkserver: whose its children are, and what becomes of a server that is lost."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading

import forkful
import pytest
from alarms import Alarm
from forkful import forkserver, popen_forkserver
from helpers import ask, await_condition, children_of, eventually, run, runs, stat_of

FORKSERVER = forkful.get_context("forkserver")


def answer(queue, what=None):
    queue.put((os.getpid(), os.getppid(), what, forkful.get_start_method()))


def tell_modules(queue):
    queue.put(sorted(sys.modules))


def await_event(event):
    event.wait()


def exit_with(code):
    os._exit(code)


def end_by(code):
    sys.exit(code)


def start_nested(queue):
    child = forkful.Process(target=answer, args=(queue, forkserver._forkserver._forkserver_pid))
    child.start()
    child.join()
    queue.put(forkserver._forkserver._forkserver_pid)


def server_pid():
    forkserver.ensure_running()
    pid = forkserver._forkserver._forkserver_pid
    assert pid is not None
    return pid


def run_program(tmp_path, text, *arguments, **files):
    for name, content in files.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return run([sys.executable, str(path), *arguments])


# --- whose its children are ---


def test_a_child_is_the_child_of_whoever_asks():
    pid, parent, _, method = ask(FORKSERVER, answer)
    assert (parent, method) == (os.getpid(), "forkserver")
    assert pid != server_pid()


def test_children_have_the_exit_codes_that_they_end_with():
    for target, code, expected in (
        (end_by, 7, 7),
        (exit_with, 3, 3),
        (os.kill, None, -signal.SIGTERM),
    ):
        args = (code,) if code is not None else (0, signal.SIGTERM)
        if code is None:
            event = FORKSERVER.Event()
            child = FORKSERVER.Process(target=await_event, args=(event,))
            child.start()
            child.terminate()
        else:
            child = FORKSERVER.Process(target=target, args=args)
            child.start()
        child.join()
        assert child.exitcode == expected


def test_a_child_has_nothing_of_the_standard_package():
    told = set(ask(FORKSERVER, tell_modules))
    assert not {name for name in told if name.split(".")[0] == "multiprocessing"}
    assert "concurrent.futures.process" not in told


def test_a_child_that_starts_children_has_a_server_of_its_own():
    queue = FORKSERVER.Queue()
    child = FORKSERVER.Process(target=start_nested, args=(queue,))
    child.start()
    _, parent, before, _ = queue.get(timeout=30)
    assert parent == child.pid
    its = queue.get(timeout=30)
    assert (before, its in (None, server_pid())) == (None, False)
    child.join()
    assert eventually(lambda: not runs(its))


def test_the_server_goes_with_the_process_that_asks(tmp_path):
    done = run_program(
        tmp_path,
        """
        import os, signal, sys
        import forkful
        from forkful import forkserver
        if __name__ == "__main__":
            child = forkful.get_context("forkserver").Process(target=int)
            child.start()
            child.join()
            print(forkserver._forkserver._forkserver_pid, flush=True)
            if sys.argv[1] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if sys.argv[1] == "stopped":
                os.kill(forkserver._forkserver._forkserver_pid, signal.SIGSTOP)
        """,
        "stopped",
    )
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: not runs(int(done.stdout)))


def test_what_a_pools_worker_runs_is_imported_by_the_server_once():
    with FORKSERVER.Pool(1) as pool:
        assert pool.apply(abs, (-1,)) == 1
    assert "forkful._pool.worker" in ask(FORKSERVER, tell_modules)


# --- a server that is lost ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_survive_their_server_and_the_next_start_works(number):
    event = FORKSERVER.Event()
    child = FORKSERVER.Process(target=await_event, args=(event,))
    child.start()
    before = server_pid()
    os.kill(before, number)
    if number != signal.SIGINT:
        await_condition(lambda: not runs(before))
    assert ask(FORKSERVER, answer, 5)[2] == 5
    assert child.is_alive()
    event.set()
    child.join()
    assert child.exitcode == 0
    assert (server_pid() == before) == (number == signal.SIGINT)


def test_a_server_that_is_stopped_is_replaced():
    before = server_pid()
    os.kill(before, signal.SIGSTOP)
    await_condition(lambda: (stat_of(before) or "T")[0] == "T")
    assert ask(FORKSERVER, answer, 5)[2] == 5
    assert server_pid() != before


def test_a_request_that_is_interrupted_leaves_nothing():
    before = server_pid()
    os.kill(before, signal.SIGSTOP)
    await_condition(lambda: (stat_of(before) or "T")[0] == "T")
    members = forkful._core.heap_use()["members"]
    queue = FORKSERVER.Queue()
    child = FORKSERVER.Process(target=answer, args=(queue, 6))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        child.start()
    timer.join()
    assert forkful._core.heap_use()["members"] == members
    os.kill(before, signal.SIGCONT)
    # The answer of the one that was given up comes first.
    assert ask(FORKSERVER, answer, 5)[2] == 5
    child.start()
    assert queue.get(timeout=30)[2] == 6
    child.join()
    assert server_pid() == before
    assert ask(FORKSERVER, answer, 5)[2] == 5
    assert eventually(lambda: set(children_of(os.getpid())) == {before})


def test_other_threads_fork_and_join_while_a_request_waits():
    before = server_pid()
    os.kill(before, signal.SIGSTOP)
    asking = threading.Thread(target=lambda: told.append(ask(FORKSERVER, answer, 5)[2]))
    told: list[int] = []
    asking.start()
    child = forkful.get_context("spawn").Process(target=int)
    child.start()
    child.join()
    assert (child.exitcode, told) == (0, [])
    asking.join()
    assert told == [5]


# --- preload ---

PRELOAD = """
    import sys
    import forkful
    if __name__ == "__main__":
        context = forkful.get_context("forkserver")
        import preloaded
        context.set_forkserver_preload(["preloaded", "no_such_module"])
        child = context.Process(target=preloaded.work, args=(context.Lock(),))
        child.start()
        child.join()
        print(child.exitcode)
    """


def test_a_module_is_preloaded_once_and_what_it_makes_is_good_in_children(tmp_path):
    done = run_program(
        tmp_path,
        PRELOAD,
        preloaded="""
            import os, forkful
            print("imported", os.getpid(), flush=True)
            lock, values = forkful.Lock(), [forkful.Value("i", each) for each in range(40)]
            def work(other):
                with lock, other:
                    values[7].value += 1
                print("child", lock.acquire(timeout=1), sum(each.value for each in values))
        """,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("imported")] == ["child True 781", "0"]
    assert len([line for line in lines if line.startswith("imported")]) == 2  # here and there


def test_where_a_preloaded_module_keeps_a_thread_children_are_spawned(tmp_path):
    done = run_program(
        tmp_path,
        PRELOAD,
        preloaded="""
            import threading
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            def work(lock):
                with lock:
                    print("child", threading.active_count())
        """,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["child 2", "0"], "")


def test_a_preloaded_librarys_own_threads_are_ended_before_it_is_cloned(tmp_path):
    pytest.importorskip("numpy")
    done = run_program(
        tmp_path,
        """
        def work():
            import numpy
            square = numpy.ones((300, 300))
            print((square @ square)[0, 0])
        if __name__ == "__main__":
            import os
            os.environ["OPENBLAS_NUM_THREADS"] = "2"
            import forkful
            from forkful import forkserver
            context = forkful.get_context("forkserver")
            context.set_forkserver_preload(["numpy"])
            child = context.Process(target=work)
            child.start()
            child.join()
            print(len(os.listdir(f"/proc/{forkserver._forkserver._forkserver_pid}/task")))
        """,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["300.0", "1"], "")


def test_the_main_module_is_preloaded_where_that_is_asked_for(tmp_path):
    done = run_program(
        tmp_path,
        """
        import os
        print("main", flush=True)
        def work():
            print("child", __name__)
        if __name__ == "__main__":
            import forkful
            context = forkful.get_context("forkserver")
            context.set_forkserver_preload(["__main__"])
            for _ in range(2):
                child = context.Process(target=work)
                child.start()
                child.join()
        """,
    )
    assert done.stdout.splitlines() == ["main", "main", "child __mp_main__", "child __mp_main__"]


def test_children_run_the_main_module_as_it_is_when_they_start(tmp_path):
    done = run_program(
        tmp_path,
        """
        import os, pathlib
        said = "first"
        def work():
            print(said)
        if __name__ == "__main__":
            import forkful
            context = forkful.get_context("forkserver")
            for _ in range(2):
                child = context.Process(target=work)
                child.start()
                child.join()
                path = pathlib.Path(__file__)
                path.write_text(path.read_text().replace('"first"', '"second"', 1))
        """,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["first", "second"], "")


def test_each_child_says_what_its_main_module_warns_of(tmp_path):
    done = run_program(
        tmp_path,
        """
        def work():
            print(1 is 1)
        if __name__ == "__main__":
            import forkful
            context = forkful.get_context("forkserver")
            for _ in range(2):
                child = context.Process(target=work)
                child.start()
                child.join()
        """,
    )
    assert done.stdout.splitlines() == ["True", "True"]
    assert done.stderr.count("SyntaxWarning") == 3  # of the program, and of each child


def test_only_names_are_preloaded():
    with pytest.raises(TypeError, match="module_names must be a list of strings"):
        FORKSERVER.set_forkserver_preload([1, 2])


# --- descriptors ---


class Handed:
    def __init__(self, fd):
        self.fd = fd

    def __reduce__(self):
        popen = forkful.context.get_spawning_popen()
        return rebuild, (popen.DupFd(popen.duplicate_for_child(self.fd)),)


def rebuild(handed):
    return Handed(handed.detach())


def write_to(*handed):
    for each in handed:
        os.write(each.fd, b"hello")


def test_a_child_is_handed_descriptors():
    reader, writer = os.pipe()
    child = FORKSERVER.Process(target=write_to, args=(Handed(writer), Handed(writer)))
    child.start()
    os.close(writer)
    child.join()
    assert os.read(reader, 20) == b"hellohello"
    os.close(reader)


def test_more_descriptors_than_a_message_takes_are_refused():
    members = forkful._core.heap_use()["members"]
    child = FORKSERVER.Process(target=write_to, args=[Handed(0) for _ in range(251)])
    with pytest.raises(ValueError, match="too many fds"):
        child.start()
    assert forkful._core.heap_use()["members"] == members


def test_forkful_stands_in_where_it_was_installed_after_the_servers_start(tmp_path):
    done = run_program(
        tmp_path,
        """
        import forkful
        def work():
            import multiprocessing
            print(multiprocessing is forkful)
        if __name__ == "__main__":
            context = forkful.get_context("forkserver")
            for _ in range(2):
                child = context.Process(target=work)
                child.start()
                child.join()
                forkful.install()
        """,
    )
    assert done.stdout.splitlines() == ["False", "True"]


def test_the_class_of_a_started_child_can_be_replaced(monkeypatch):
    seen = []

    class Popen(popen_forkserver.Popen):
        def _launch(self, process_obj):
            seen.append(process_obj.name)
            super()._launch(process_obj)

    monkeypatch.setattr(popen_forkserver, "Popen", Popen)
    assert ask(FORKSERVER, answer, 5)[2] == 5
    assert len(seen) == 1


def test_a_handler_that_starts_a_child_in_the_midst_of_a_start_leaves_that_its_answer():
    pid = server_pid()
    children = []

    def start_another():
        os.kill(pid, signal.SIGCONT)
        child = FORKSERVER.Process(target=exit_with, args=(7,))
        child.start()
        children.append(child)

    os.kill(pid, signal.SIGSTOP)
    with Alarm() as alarm:
        alarm.after(0.1, start_another)
        first = FORKSERVER.Process(target=exit_with, args=(6,))
        first.start()
    for child in (first, *children):
        child.join()
    assert [first.exitcode, *(child.exitcode for child in children)] == [6, 7]
