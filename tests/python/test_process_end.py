"""How processes end: exit codes, tracebacks, finalizers, orphans."""

from __future__ import annotations

import os
import signal
import sys

import forkful
import pytest
from forkful import util
from helpers import await_condition, run_python, runs, start_python, stay


@pytest.mark.parametrize(
    ("argument", "code", "printed"),
    [
        (None, 0, ""),
        (0, 0, ""),
        (7, 7, ""),
        (True, 1, ""),
        ("sorry", 1, "sorry\n"),
        ([8], 1, "[8]\n"),
        ("", 1, "\n"),
        (3.5, 1, "3.5\n"),
        (-1, 255, ""),
        (256, 0, ""),
    ],
)
def test_sys_exit_gives_the_exit_code(capfd, argument, code, printed):
    child = forkful.Process(target=sys.exit, args=(argument,))
    child.start()
    child.join()
    assert child.exitcode == code
    assert capfd.readouterr().err == printed


def divide(number):
    return 1 // number


def test_an_exception_is_printed_with_the_process_name(capfd):
    child = forkful.Process(target=divide, args=(0,), name="divider")
    child.start()
    child.join()
    assert child.exitcode == 1
    printed = capfd.readouterr().err
    assert printed.startswith("Process divider:\nTraceback (most recent call last):\n")
    assert "in divide\n" in printed
    assert printed.endswith("ZeroDivisionError: integer division or modulo by zero\n")


def test_os_exit_gives_the_exit_code():
    child = forkful.Process(target=os._exit, args=(9,))
    child.start()
    child.join()
    assert child.exitcode == 9


def test_finalizers_run_at_a_childs_end_highest_first():
    def register(queue):
        util.Finalize(None, queue.put, args=("low",), exitpriority=1)
        util.Finalize(None, queue.put, args=("high",), exitpriority=10)
        util.Finalize(None, queue.put, args=("later",), exitpriority=10)
        cancelled = util.Finalize(None, queue.put, args=("cancelled",), exitpriority=5)
        cancelled.cancel()
        called = util.Finalize(None, queue.put, args=("called",), exitpriority=5)
        called()
        called()
        assert not called.still_active()
        queue.put("end of run")

    queue = forkful.Queue()
    not_ours = util.Finalize(None, queue.put, args=("the parent's",), exitpriority=3)
    child = forkful.Process(target=register, args=(queue,))
    child.start()
    child.join()
    not_ours.cancel()
    got = [queue.get(timeout=5) for _ in range(queue.qsize())]
    assert got == ["called", "end of run", "later", "high", "low"]


def test_a_finalizer_runs_when_its_object_dies():
    class Thing:
        pass

    seen = []
    thing = Thing()
    finalizer = util.Finalize(thing, seen.append, args=(1,))
    assert finalizer.still_active()
    del thing
    assert seen == [1]
    with pytest.raises(ValueError, match="Without object"):
        util.Finalize(None, print)
    with pytest.raises(TypeError, match="Exitpriority"):
        util.Finalize(None, print, exitpriority="1")


def test_a_plain_child_is_waited_for_at_exit():
    done = run_python("""
        import forkful
        def work(event):
            event.wait()
            print("child ends", flush=True)
        event = forkful.Event()
        forkful.Process(target=work, args=(event,)).start()
        import atexit, threading
        atexit.register(event.set)
        print("main ends", flush=True)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "main ends\nchild ends\n"


def test_a_daemonic_child_ends_with_its_parent():
    done = run_python("""
        import forkful, signal
        def stay():
            while True: signal.pause()
        child = forkful.Process(target=stay, daemon=True)
        child.start()
        print(child.pid)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert not runs(int(done.stdout))


def test_daemonic_children_end_with_a_child_that_ends():
    def start_daemon(queue):
        child = forkful.Process(target=stay, daemon=True)
        child.start()
        queue.put(child.pid)

    queue = forkful.Queue()
    child = forkful.Process(target=start_daemon, args=(queue,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not runs(queue.get(timeout=5))


FAMILY = """
    import forkful, os, signal, sys
    how = sys.argv[1]
    def stay():
        while True: signal.pause()
    def middle(queue):
        for daemon in (True, False):
            child = forkful.Process(target=stay, daemon=daemon)
            child.start()
            queue.put(child.pid)
        stay()
    queue = forkful.Queue()
    child = forkful.Process(target=middle, args=(queue,))
    child.start()
    print(child.pid, queue.get(), queue.get(), flush=True)
    if how == "crash":
        os.abort()
    stay()
"""


@pytest.mark.parametrize("how", ["crash", "kill"])
def test_everyone_goes_within_a_second_when_the_root_dies(how):
    with start_python(FAMILY, how) as program:
        pids = [int(word) for word in program.stdout.readline().split()]
        assert len(pids) == 3
        if how == "kill":
            program.kill()
        program.wait(10)
        await_condition(lambda: not any(runs(pid) for pid in pids), seconds=1)


def test_plain_grandchildren_outlive_a_killed_child():
    with start_python(FAMILY, "kill") as program:
        middle, daemon, plain = (int(word) for word in program.stdout.readline().split())
        os.kill(middle, signal.SIGKILL)
        await_condition(lambda: not runs(daemon), seconds=1)
        assert runs(plain)
        program.kill()
        await_condition(lambda: not runs(plain), seconds=1)


def test_a_fork_of_the_users_own_joins_and_leaves():
    done = run_python("""
        import forkful, os, signal, sys
        def stay():
            while True: signal.pause()
        queue, lock = forkful.Queue(), forkful.Lock()
        daemon = forkful.Process(target=stay, daemon=True)
        daemon.start()
        pid = os.fork()
        if pid == 0:
            assert forkful.current_process().pid == os.getpid()
            assert forkful.active_children() == []
            with lock:
                queue.put("from the fork")
            child = forkful.Process(target=queue.put, args=("from its child",))
            child.start()
            child.join()
            assert child.exitcode == 0
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        print(queue.get(timeout=5), queue.get(timeout=5))
        assert daemon.is_alive()
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "from the fork from its child\n"


def test_a_fork_that_uses_nothing_of_ours_does_no_harm():
    queue = forkful.Queue()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    queue.put(1)
    assert queue.get(timeout=5) == 1


def test_an_exit_code_that_somebody_else_took_is_known_all_the_same():
    child = forkful.Process(target=sys.exit, args=(7,))
    child.start()
    os.waitpid(child.pid, 0)
    child.join(10)
    assert child.exitcode == 7


def test_ctrl_c_interrupts_a_join():
    program = """
        import forkful, signal
        child = forkful.Process(target=signal.pause)
        child.start()
        try:
            print(child.pid, flush=True)
            child.join()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            child.kill()
    """
    with start_python(program) as process:
        int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_the_interpreter_ends_while_a_thread_waits():
    done = run_python("""
        import forkful, threading
        queue, lock = forkful.Queue(), forkful.Lock()
        lock.acquire()
        for wait in (queue.get, lock.acquire, forkful.Event().wait):
            threading.Thread(target=wait, daemon=True).start()
        print("end")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.parametrize("code", [2**40, -(2**40), 2**70])
def test_a_code_that_no_process_can_have_is_an_error(capfd, code):
    child = forkful.Process(target=sys.exit, args=(code,))
    child.start()
    child.join()
    assert child.exitcode == 1
    assert "OverflowError" in capfd.readouterr().err


def test_a_child_that_a_foreign_thread_starts_ends_in_order():
    code = (
        "import _thread, threading, time, warnings\n"
        "import forkful\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # of the other thread, from 3.12 on\n"
        "def start():\n"
        "    threading.current_thread()  # from now on threading has a stand-in for it\n"
        "    child = forkful.Process(target=int)\n"
        "    child.start()\n"
        "    child.join()\n"
        "    print(child.exitcode, flush=True)\n"
        "    done.release()\n"
        "done = _thread.allocate_lock()\n"
        "done.acquire()\n"
        "_thread.start_new_thread(start, ())\n"
        "done.acquire()\n"
    )
    program = run_python(code)
    assert (program.stdout, program.stderr) == ("0\n", "")


@pytest.mark.parametrize("start_method", forkful.get_all_start_methods())
def test_what_was_printed_and_cannot_be_written_is_a_failure_of_the_child(start_method):
    done = run_python(
        f"""
        import os
        import sys
        import forkful

        def work(number):
            print("lost")
            return number

        def say(*words):
            print(*words, file=sys.stderr)

        if __name__ == "__main__":
            context = forkful.get_context({start_method!r})
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(reader)
            child = context.Process(target=work, args=(1,))
            child.start()
            child.join()
            say("ended with", child.exitcode)
            with context.Pool(1, maxtasksperchild=1) as pool:
                say(pool.map(work, range(3), chunksize=1))
            print("lost, too")
            try:
                context.Process(target=work, args=(1,)).start()
            except BrokenPipeError:
                say("not started")
            with context.Pool(1) as pool:
                say(pool.map(work, [3]))
        """,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
    )
    said = [line for line in done.stderr.splitlines() if line[0] in "[en"]
    # 120: as any interpreter that cannot write what was printed.
    code = 120 if start_method == "spawn" else 1
    assert said == [f"ended with {code}", "[0, 1, 2]", "not started", "[3]"], done.stderr
