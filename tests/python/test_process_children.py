"""What a parent learns of its children, whoever else looks at them."""

from __future__ import annotations

import os
import signal
import sys

import forkful
import pytest
from helpers import await_condition, run_python, runs, stat_of


def test_an_exit_code_is_known_though_somebody_else_waited_for_the_child():
    code = """
    import os, signal, sys
    import forkful

    if "ignore" in sys.argv:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    else:
        def reap(*_):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass
        signal.signal(signal.SIGCHLD, reap)
    codes = []
    for number in range(10):
        child = forkful.Process(target=sys.exit, args=(7,))
        child.start()
        child.join()
        codes.append(child.exitcode)
    print(codes == [7] * 10 or codes)
    """
    for how in ("ignore", "reap"):
        result = run_python(code, how)
        assert result.stdout == "True\n", result.stderr


def test_descriptors_above_those_that_select_can_watch_do_no_harm():
    code = """
    import os, resource, signal, sys
    import forkful

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 3000), most))
    for _ in range(1100):
        os.open("/dev/null", os.O_RDONLY)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    child = forkful.Process(target=sys.exit, args=(3,))
    child.start()
    child.join()
    print(child.exitcode)
    """
    assert run_python(code).stdout == "3\n"


def test_a_handler_of_sigchld_may_look_at_children_that_are_looked_at():
    code = """
    import signal
    import forkful

    children = []
    signal.signal(signal.SIGCHLD, lambda *_: [child.is_alive() for child in children])
    signal.alarm(50)
    for _ in range(60):
        children[:] = [forkful.Process(target=int) for _ in range(6)]
        for child in children:
            child.start()
        while any(child.is_alive() for child in children):
            pass
        assert [child.exitcode for child in children] == [0] * 6
    print("done")
    """
    result = run_python(code)
    assert result.stdout == "done\n", result.stderr


def test_a_sibling_can_end_a_process_and_does_not_know_its_exit_code():
    def end(process, seen):
        seen.put(process.exitcode)
        process.terminate()

    seen = forkful.Queue()
    process = forkful.Process(target=signal.pause)
    process.start()
    sibling = forkful.Process(target=end, args=(process, seen))
    sibling.start()
    process.join()
    sibling.join()
    assert process.exitcode == -signal.SIGTERM
    assert sibling.exitcode == 0
    assert seen.get(timeout=5) is None


def test_a_sibling_does_not_know_the_exit_code_of_one_that_has_ended():
    def look(process, go, seen):
        go.wait()
        seen.put(process.exitcode)

    # Ended before the sibling is there, it would be known to have: a start looks after children.
    end, go, seen = forkful.Event(), forkful.Event(), forkful.Queue()
    process = forkful.Process(target=end.wait)
    process.start()
    sibling = forkful.Process(target=look, args=(process, go, seen))
    sibling.start()
    end.set()
    process.join()
    go.set()
    assert seen.get(timeout=20) is None
    sibling.join()


def test_terminate_ends_a_stopped_process():
    process = forkful.Process(target=signal.pause)
    process.start()
    os.kill(process.pid, signal.SIGSTOP)
    await_condition(lambda: stat_of(process.pid)[0] == "T")
    process.terminate()
    process.join(20)
    assert process.exitcode == -signal.SIGTERM


def test_a_program_ends_though_its_daemon_is_stopped_or_deaf():
    code = """
    import os, signal
    import forkful

    def be_deaf(ready):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ready.set()
        signal.pause()

    ready = forkful.Event()
    deaf = forkful.Process(target=be_deaf, args=(ready,), daemon=True)
    stopped = forkful.Process(target=signal.pause, daemon=True)
    deaf.start()
    stopped.start()
    ready.wait()
    os.kill(stopped.pid, signal.SIGSTOP)
    print(deaf.pid, stopped.pid)
    """
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    for pid in map(int, result.stdout.split()):
        assert not runs(pid)


def test_emfile_at_the_last_moment_leaves_no_child_and_no_zombie():
    code = """
    import os, resource
    import forkful
    from forkful import _core

    def nothing():
        pass

    child = forkful.Process(target=nothing)
    child.start()
    child.join()
    members = _core.heap_use()["members"]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    fill = []
    try:
        while True:
            fill.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    errors = 0
    for _ in range(20):
        try:
            forkful.Process(target=nothing).start()
        except OSError:
            errors += 1
    for each in fill:
        os.close(each)
    try:
        left = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        left = None
    print(errors, left, _core.heap_use()["members"] == members)
    """
    assert run_python(code).stdout == "20 None True\n"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="multiprocessing has it since 3.13")
def test_handlers_of_atexit_run_at_a_childs_end():
    code = """
    import atexit
    import forkful

    atexit.register(print, "the parent's", flush=True)
    def child():
        atexit.register(print, "the child's", flush=True)
    process = forkful.Process(target=child)
    process.start()
    process.join()
    """
    assert run_python(code).stdout == "the child's\nthe parent's\n"
